//! From syntax to a checked logical plan, with or without the tables at hand.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::logical_plan::builder::LogicalTableSource;
use datafusion::logical_expr::{Expr, LogicalPlan, TableSource};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use lw_core::Result;

use super::catalog::{Catalog, table_key};
use super::diagnose::{diagnose, located};
use super::parse::{parse_query, table_names};
use super::session::OFFLINE;
use crate::column_type::canonical_schema;
use crate::failures::{BAD_SQL, SQL_NOT_ALLOWED};

/// The columns that a query over tables of the given columns answers with. Reads nothing.
///
/// ```
/// use std::sync::Arc;
/// use arrow::datatypes::{DataType, Field, Schema};
///
/// let flights = Arc::new(Schema::new(vec![Field::new("arr_delay", DataType::Int32, true)]));
/// let tables = [("flights".to_owned(), flights)];
/// let schema = lw_engine::plan_schema("SELECT avg(arr_delay) AS delay FROM flights", &tables)?;
/// assert_eq!(schema.field(0).data_type(), &DataType::Float64);
///
/// let error = lw_engine::plan_schema("SELECT ar_delay FROM flights", &tables).unwrap_err();
/// assert_eq!(error.hint_text(), Some("did you mean `arr_delay`?"));
/// # Ok::<(), lw_core::Error>(())
/// ```
pub fn plan_schema(sql: &str, tables: &[(String, SchemaRef)]) -> Result<SchemaRef> {
    let plan = offline_plan(sql, tables)?;
    let analyzed = OFFLINE.analyzer().execute_and_check(plan, OFFLINE.config_options(), |_, _| {});
    output_schema(&analyzed.map_err(|error| diagnose(&error, sql))?, sql)
}

/// The columns of each table that a query's answer depends on, both sorted by name. A table of which only the number of rows
/// matters has no columns here.
pub fn references(sql: &str, tables: &[(String, SchemaRef)]) -> Result<Vec<(String, Vec<String>)>> {
    let plan = offline_plan(sql, tables)?;
    let optimized = OFFLINE.optimize(&plan).map_err(|error| diagnose(&error, sql))?;
    let mut found: BTreeMap<String, BTreeSet<String>> =
        table_names(sql)?.into_iter().map(|name| (name, BTreeSet::new())).collect();
    let visit = |node: &LogicalPlan| {
        if let LogicalPlan::TableScan(scan) = node {
            let columns = found.entry(table_key(&scan.table_name)).or_default();
            columns.extend(scan.projected_schema.fields().iter().map(|field| field.name().clone()));
            let filters = scan.filters.iter().flat_map(Expr::column_refs);
            columns.extend(filters.map(|column| column.name.clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    };
    optimized.apply_with_subqueries(visit).map_err(|error| diagnose(&error, sql))?;
    Ok(found.into_iter().map(|(table, columns)| (table, columns.into_iter().collect())).collect())
}

pub(super) fn offline_plan(sql: &str, tables: &[(String, SchemaRef)]) -> Result<LogicalPlan> {
    let source = |schema: &SchemaRef| Arc::new(LogicalTableSource::new(schema.clone())) as Arc<dyn TableSource>;
    let sources = tables.iter().map(|(name, schema)| (table_key(&name.as_str().into()), source(schema))).collect();
    logical_plan(&OFFLINE, sql, sources, Vec::new())
}

/// Plans a query over the given tables and checks that it does nothing but read them. `known` are names of further tables, for hints.
pub(crate) fn logical_plan(
    state: &SessionState,
    sql: &str,
    tables: HashMap<String, Arc<dyn TableSource>>,
    known: Vec<String>,
) -> Result<LogicalPlan> {
    let statement = parse_query(sql)?;
    let catalog = Catalog { state, tables, known };
    let planner = SqlToRel::new_with_options(&catalog, parser_options(state));
    let plan = planner.statement_to_plan(statement).map_err(|error| diagnose(&error, sql))?;
    check_allowed(&plan)?;
    Ok(plan)
}

/// A catalog without tables, for expressions.
pub(crate) fn offline_planner() -> (Catalog<'static>, ParserOptions) {
    let state: &'static SessionState = &OFFLINE;
    (Catalog { state, tables: HashMap::new(), known: Vec::new() }, parser_options(state))
}

fn parser_options(state: &SessionState) -> ParserOptions {
    let options = &state.config_options().sql_parser;
    ParserOptions::new()
        .with_map_string_types_to_utf8view(options.map_string_types_to_utf8view)
        .with_collect_spans(options.collect_spans)
}

/// An allow-list of plan nodes: whatever a later version of the planner learns to do is refused until it is added here.
fn check_allowed(plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    let visit = |node: &LogicalPlan| {
        let allowed = matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Join(_)
                | LogicalPlan::Union(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::EmptyRelation(_)
                | LogicalPlan::Subquery(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::Distinct(_)
                | LogicalPlan::Unnest(_)
        );
        if !allowed {
            refused = Some(node.display().to_string());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    };
    plan.apply_with_subqueries(visit).map_err(|error| diagnose(&error, ""))?;
    match refused {
        None => Ok(()),
        Some(node) => Err(SQL_NOT_ALLOWED
            .error(format!("this is not a plain query: {node}"))
            .hint("only SELECT over bound tables is allowed")),
    }
}

/// The canonical columns of a plan's answer. Two columns of one name are refused, since tables cannot hold them.
pub(crate) fn output_schema(plan: &LogicalPlan, sql: &str) -> Result<SchemaRef> {
    let schema = canonical_schema(plan.schema().as_arrow());
    let mut seen = HashSet::new();
    for field in schema.fields() {
        if !seen.insert(field.name()) {
            let error = BAD_SQL
                .error(format!("two columns of the result are called `{}`", field.name()))
                .hint(format!("give one of them another name: `… AS other_{}`", field.name()));
            return Err(located(error, sql, field.name()));
        }
    }
    Ok(schema)
}
