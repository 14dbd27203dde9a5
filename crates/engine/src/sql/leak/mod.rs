//! SQL that looks ahead: rows that are computed from others of a later time than they claim for themselves.
//!
//! Only what the text alone proves is told. A join that forgets its time, or a column of the table that was filled in later, cannot be
//! seen here.

use std::fmt;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ExprSchema, ScalarValue};
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, WindowFrameBound, WindowFunctionDefinition};
use lw_core::Result;

use self::origin::{bare, trace};
use super::diagnose::diagnose;
use super::plan::offline_plan;

mod origin;

/// How a query looks ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookAhead {
    /// A window function sees rows after its own.
    Window { function: String, why: &'static str },
    /// An aggregate adds up rows of all times.
    AllTimes { aggregates: String },
    /// Rows of a period are added up, and the time that they are given is that of the period's begin.
    BeginOfPeriod { expression: String },
    /// Rows are added up, and the time that they are given is the earliest of them.
    Earliest { expression: String },
}

impl LookAhead {
    /// What to write instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Window { .. } => {
                "order the window by time and end it at the current row, like `OVER (PARTITION BY carrier ORDER BY landed_at RANGE \
                 BETWEEN INTERVAL '23 hours' PRECEDING AND CURRENT ROW)`"
            }
            Self::AllTimes { .. } => {
                "group by a time too, like `GROUP BY carrier, date_trunc('hour', landed_at)`, and add up over a window of it"
            }
            Self::BeginOfPeriod { .. } => {
                "add the period's length, so that its rows count when it is over: `date_trunc('hour', landed_at) + INTERVAL '1 hour'`"
            }
            Self::Earliest { .. } => "take the latest time, max(…), or group by the time",
        }
    }
}

impl fmt::Display for LookAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window { function, why } => write!(f, "`{function}` {why}"),
            Self::AllTimes { aggregates } => write!(f, "`{aggregates}` adds up rows of all times, also later ones"),
            Self::BeginOfPeriod { expression } => {
                write!(
                    f,
                    "the rows of a period are added up, and their time is its begin, `{expression}`, when most had not happened"
                )
            }
            Self::Earliest { expression } => {
                write!(f, "rows are added up, and their time is `{expression}`, when the others had not happened")
            }
        }
    }
}

/// What in a query proves that it looks ahead. `time` is the output column that says when a row was known.
///
/// ```
/// use std::sync::Arc;
/// use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
///
/// let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
/// let columns = vec![Field::new("at", time, true), Field::new("amount", DataType::Float64, true)];
/// let tables = [("orders".to_owned(), Arc::new(Schema::new(columns)))];
/// let sql = "SELECT at, sum(amount) OVER (ORDER BY at) AS so_far FROM orders";
/// assert!(lw_engine::look_ahead(sql, &tables, "at")?.is_empty());
/// let sql = "SELECT at, sum(amount) OVER () AS in_all FROM orders";
/// assert_eq!(lw_engine::look_ahead(sql, &tables, "at")?.len(), 1);
/// # Ok::<(), lw_core::Error>(())
/// ```
pub fn look_ahead(sql: &str, tables: &[(String, SchemaRef)], time: &str) -> Result<Vec<LookAhead>> {
    let plan = offline_plan(sql, tables)?;
    let mut found = Vec::new();
    let mut latest = Vec::new();
    if let Some(index) = plan.schema().fields().iter().position(|field| field.name() == time) {
        let origin = trace(&plan, index);
        found.extend(origin.leak());
        latest.extend(origin.latest_of);
    }
    let visit = |node: &LogicalPlan| {
        match node {
            LogicalPlan::Window(window) if has_times(&window.input) => {
                found.extend(window.window_expr.iter().filter_map(|expr| window_leak(expr, window.input.schema())));
            }
            LogicalPlan::Aggregate(aggregate) if is_unbounded(aggregate) && !latest.contains(&key(aggregate)) => {
                let aggregates: Vec<String> = aggregate.aggr_expr.iter().map(shown).collect();
                let leak = LookAhead::AllTimes { aggregates: aggregates.join(", ") };
                // The time of such rows is proven wrong already.
                let is_told = found.iter().any(|told| matches!(told, LookAhead::Earliest { .. }));
                found.extend((!is_told && !aggregate.aggr_expr.is_empty()).then_some(leak));
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    };
    plan.apply_with_subqueries(visit).map_err(|error| diagnose(&error, sql))?;
    Ok(found)
}

fn window_leak(expr: &Expr, input: &DFSchema) -> Option<LookAhead> {
    let Expr::WindowFunction(window) = bare(expr) else { return None };
    let WindowFunction { fun, params } = &**window;
    let WindowFunctionParams { args, partition_by, order_by, window_frame, .. } = params;
    let is_time = |expr: &Expr| expr.get_type(input).is_ok_and(|found| is_time(&found));
    // All rows of such a partition are of one time.
    if partition_by.iter().any(is_time) {
        return None;
    }
    let function = match fun {
        WindowFunctionDefinition::AggregateUDF(function) => function.name(),
        WindowFunctionDefinition::WindowUDF(function) => function.name(),
    };
    let is_backwards = order_by.first().is_some_and(|order| is_time(&order.expr) && !order.asc);
    let why = match (&window_frame.end_bound, function) {
        (_, "lead") => "takes a value of a later row",
        (_, "ntile" | "percent_rank" | "cume_dist") => "compares a row with all others, also later ones",
        _ if order_by.is_empty() => "sees all rows of its partition, also later ones, because it has no ORDER BY",
        (WindowFrameBound::Following(value), _) if !is_zero(value) => "sees rows that follow its own",
        _ if is_backwards => "goes backwards in time, from the latest row on",
        _ => return None,
    };
    let args: Vec<String> = args.iter().map(shown).collect();
    Some(LookAhead::Window { function: format!("{function}({})", args.join(", ")), why })
}

fn is_zero(value: &ScalarValue) -> bool {
    !value.is_null() && ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value)
}

/// Whether an aggregate adds up rows that have times without a look at them.
fn is_unbounded(aggregate: &Aggregate) -> bool {
    let schema = aggregate.input.schema();
    let is_time = |expr: &Expr| expr.get_type(schema).is_ok_and(|found| is_time(&found));
    has_times(&aggregate.input) && !aggregate.group_expr.iter().any(is_time) && !is_filtered(&aggregate.input)
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64)
}

/// Whether any of the tables under a plan has a time.
fn has_times(plan: &LogicalPlan) -> bool {
    plan.exists(|node| {
        let LogicalPlan::TableScan(scan) = node else { return Ok(false) };
        Ok(scan.source.schema().fields().iter().any(|field| is_time(field.data_type())))
    })
    .unwrap_or(false)
}

/// Whether a condition under a plan looks at a time, in a filter or a join.
fn is_filtered(plan: &LogicalPlan) -> bool {
    let has_time = |expr: &Expr, schema: &DFSchema| {
        let mut columns = expr.column_refs().into_iter();
        columns.any(|column| schema.field_from_column(column).is_ok_and(|field| is_time(field.data_type())))
    };
    // That there is a time says nothing about which.
    let is_bound = |expr: &Expr| !matches!(expr, Expr::IsNotNull(_) | Expr::IsNull(_));
    let looks_at_time =
        |expr: &Expr, schema: &DFSchema| split_conjunction(expr).into_iter().any(|part| is_bound(part) && has_time(part, schema));
    plan.exists(|node| {
        Ok(match node {
            LogicalPlan::Filter(filter) => looks_at_time(&filter.predicate, filter.input.schema()),
            LogicalPlan::Join(join) => {
                let on = join
                    .on
                    .iter()
                    .any(|(left, right)| looks_at_time(left, join.left.schema()) || looks_at_time(right, join.right.schema()));
                on || join.filter.as_ref().is_some_and(|filter| looks_at_time(filter, &join.schema))
            }
            _ => false,
        })
    })
    .unwrap_or(false)
}

/// What tells one aggregate of a query from another.
fn key(aggregate: &Aggregate) -> String {
    format!("{:p}", std::sync::Arc::as_ptr(&aggregate.input))
}

/// An expression as users know it, without the names of tables.
fn shown(expr: &Expr) -> String {
    const MOST: usize = 80;
    let text = bare(expr).human_display().to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
