//! A condition on all rows of a batch, computed while the rows go by: SQL with aggregates, without a table.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::array_value_to_string;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Accumulator, Expr};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder};
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use lw_core::{Error, Result};

use crate::column_type::{canonical_type, cast_to};
use crate::expression::{Expression, check_parts, column_of, simplify};
use crate::failures::{SQL_NOT_ALLOWED, UNKNOWN_COLUMN};
use crate::sql::{diagnose, offline_planner, parse_expression};

/// A compiled expression over aggregates, such as `avg(amount) BETWEEN 10 AND 50`. Cheap to clone, safe to share.
///
/// Rows come in batches of any size, several states may each see a part of them, and the answer is that of one query over all:
///
/// ```
/// use std::sync::Arc;
/// use arrow::datatypes::{DataType, Field, Schema};
/// use lw_engine::{Aggregation, batch_from_rows, scalar_at};
///
/// let schema = Arc::new(Schema::new(vec![Field::new("amount", DataType::Int64, true)]));
/// let usual = Aggregation::compile("avg(amount) BETWEEN 10 AND 50", &schema)?;
/// let (mut morning, mut evening) = (usual.begin()?, usual.begin()?);
/// morning.update(&batch_from_rows(&schema, &[vec![5_i64.into()], vec![9_i64.into()]])?)?;
/// evening.update(&batch_from_rows(&schema, &[vec![100_i64.into()]])?)?;
/// morning.merge(evening)?;
/// let answer = morning.finish()?;
/// assert_eq!((scalar_at(&answer.value, 0)?, answer.parts[0].value.as_str()), (true.into(), "38.0"));
/// # Ok::<(), lw_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Aggregation {
    sql: Arc<str>,
    /// The columns that the aggregates read, and no others.
    inputs: SchemaRef,
    parts: Arc<[Part]>,
    /// The expression over the aggregates' answers.
    answer: Expression,
}

/// One aggregate of the expression.
#[derive(Debug)]
struct Part {
    sql: String,
    aggregate: Arc<AggregateFunctionExpr>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

/// What the rows seen so far come to.
#[derive(Debug)]
pub struct AggregationState {
    aggregation: Aggregation,
    accumulators: Vec<Box<dyn Accumulator>>,
}

/// The answer over all rows.
#[derive(Debug, Clone)]
pub struct AggregationAnswer {
    /// One value, of the type that [`Aggregation::data_type`] says.
    pub value: ArrayRef,
    /// What each aggregate came to, in the order of the SQL.
    pub parts: Vec<AggregateValue>,
}

/// An aggregate as it stands in the SQL, and its value as text; empty for null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateValue {
    pub sql: String,
    pub value: String,
}

impl Aggregation {
    /// Compiles an expression over the columns of a schema. Columns may stand only inside of aggregates; window functions,
    /// subqueries and aggregates that depend on the order of rows are refused.
    pub fn compile(sql: &str, schema: &SchemaRef) -> Result<Self> {
        let failed = |error| diagnose(&error, sql);
        let parsed = parse_expression(sql)?;
        let (catalog, options) = offline_planner();
        let columns = DFSchema::try_from(schema.as_ref().clone()).map_err(failed)?;
        let planner = SqlToRel::new_with_options(&catalog, options);
        let logical = planner.sql_to_expr(parsed, &columns, &mut PlannerContext::new()).map_err(failed)?;
        check_allowed(&logical, sql)?;
        let logical = simplify(logical, &columns).map_err(failed)?;

        let (outer, aggregates) = split(logical).map_err(failed)?;
        check_split(&outer, &aggregates, sql)?;
        let used: Vec<String> = aggregates.iter().flat_map(Expr::column_refs).map(|column| column.name.clone()).collect();
        let fields: Vec<Arc<Field>> = schema.fields().iter().filter(|field| used.contains(field.name())).cloned().collect();
        let inputs = Arc::new(Schema::new(fields));
        let parts: Vec<Part> =
            aggregates.iter().map(|aggregate| Part::compile(aggregate, &inputs).map_err(failed)).collect::<Result<_>>()?;
        let answers = parts
            .iter()
            .enumerate()
            .map(|(index, part)| Field::new(part_name(index), canonical_type(part.aggregate.field().data_type()), true));
        let answer = Expression::from_logical(sql, outer, &Arc::new(Schema::new(answers.collect::<Vec<_>>())))?;
        Ok(Self { sql: sql.into(), inputs, parts: parts.into(), answer })
    }

    /// The canonical type of the answer.
    pub fn data_type(&self) -> &DataType {
        self.answer.data_type()
    }

    /// The columns that the aggregates read.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.inputs.fields().iter().map(|field| field.name().as_str())
    }

    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// A state that has seen no rows.
    pub fn begin(&self) -> Result<AggregationState> {
        let accumulators = self.parts.iter().map(|part| part.aggregate.create_accumulator());
        let accumulators = accumulators.collect::<Result<_, _>>().map_err(|error| diagnose(&error, &self.sql))?;
        Ok(AggregationState { aggregation: self.clone(), accumulators })
    }
}

impl AggregationState {
    /// Adds rows, which have their columns by name and may have others.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        let Aggregation { sql, inputs, parts, .. } = &self.aggregation;
        let columns = inputs.fields().iter().map(|field| column_of(batch, field, sql)).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows = RecordBatch::try_new_with_options(inputs.clone(), columns, &options).map_err(|error| {
            UNKNOWN_COLUMN.error(format!("`{sql}` was compiled for other columns than these rows have")).cause(error)
        })?;
        for (part, accumulator) in parts.iter().zip(&mut self.accumulators) {
            let values = part.values(&rows).map_err(|error| diagnose(&error, sql))?;
            accumulator.update_batch(&values).map_err(|error| diagnose(&error, sql))?;
        }
        Ok(())
    }

    /// Adds what another state of the same aggregation has seen.
    pub fn merge(&mut self, mut other: Self) -> Result<()> {
        let failed = |error| diagnose(&error, &self.aggregation.sql);
        for (mine, theirs) in self.accumulators.iter_mut().zip(&mut other.accumulators) {
            let state = theirs.state().map_err(failed)?;
            let arrays = state.iter().map(|value| value.to_array()).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            mine.merge_batch(&arrays).map_err(failed)?;
        }
        Ok(())
    }

    /// The answer. Over no rows it is what SQL says: a count of zero, a sum of null.
    pub fn finish(mut self) -> Result<AggregationAnswer> {
        let Aggregation { sql, parts, answer, .. } = &self.aggregation;
        let failed = |error| diagnose(&error, sql);
        let mut values: Vec<ArrayRef> = Vec::with_capacity(parts.len());
        let mut told = Vec::with_capacity(parts.len());
        for (part, accumulator) in parts.iter().zip(&mut self.accumulators) {
            let value = accumulator.evaluate().and_then(|value| value.to_array()).map_err(failed)?;
            let value = cast_to(&value, &canonical_type(value.data_type()))?;
            let text = if value.is_null(0) { String::new() } else { array_value_to_string(&value, 0).unwrap_or_default() };
            told.push(AggregateValue { sql: part.sql.clone(), value: text });
            values.push(value);
        }
        let fields: Vec<Field> = values
            .iter()
            .enumerate()
            .map(|(index, value)| Field::new(part_name(index), value.data_type().clone(), true))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), values, &options)
            .map_err(|error| Error::bug("the answers of aggregates do not make a row").cause(error))?;
        Ok(AggregationAnswer { value: answer.evaluate(&row)?, parts: told })
    }
}

impl Part {
    fn compile(aggregate: &Expr, inputs: &SchemaRef) -> datafusion::error::Result<Self> {
        let columns = DFSchema::try_from(inputs.as_ref().clone())?;
        let sql = aggregate.human_display().to_string();
        let (properties, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
        let lowered = LoweredAggregateBuilder::new(aggregate, &columns, inputs, &properties, &context).with_name(&sql).build()?;
        let arguments = lowered.aggregate.expressions();
        // Some aggregates refuse their arguments only here.
        lowered.aggregate.create_accumulator()?;
        Ok(Self { sql, aggregate: lowered.aggregate, arguments, filter: lowered.filter })
    }

    /// The arguments' values, of the rows that the aggregate's own filter lets in.
    fn values(&self, rows: &RecordBatch) -> datafusion::error::Result<Vec<ArrayRef>> {
        let n_rows = rows.num_rows();
        let value = |expression: &Arc<dyn PhysicalExpr>| expression.evaluate(rows).and_then(|value| value.into_array(n_rows));
        let values = self.arguments.iter().map(value).collect::<datafusion::error::Result<Vec<_>>>()?;
        let Some(condition) = &self.filter else {
            return Ok(values);
        };
        let kept = value(condition)?;
        values.iter().map(|values| Ok(filter(values, kept.as_boolean())?)).collect()
    }
}

fn part_name(index: usize) -> String {
    format!("aggregate_{index}")
}

/// The expression with a column in place of each aggregate, and the aggregates.
fn split(logical: Expr) -> datafusion::error::Result<(Expr, Vec<Expr>)> {
    let mut aggregates: Vec<Expr> = Vec::new();
    let outer = logical.transform_down(|node| {
        if !matches!(node, Expr::AggregateFunction(_)) {
            return Ok(Transformed::no(node));
        }
        let index = aggregates.iter().position(|known| *known == node).unwrap_or_else(|| {
            aggregates.push(node.clone());
            aggregates.len() - 1
        });
        let column = Expr::Column(Column::from_name(part_name(index)));
        Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
    })?;
    Ok((outer.data, aggregates))
}

fn check_split(outer: &Expr, aggregates: &[Expr], sql: &str) -> Result<()> {
    let is_answer = |name: &str| (0..aggregates.len()).any(|index| part_name(index) == name);
    let mut outside: Vec<&str> =
        outer.column_refs().into_iter().map(|column| column.name.as_str()).filter(|name| !is_answer(name)).collect();
    outside.sort_unstable();
    if let Some(column) = outside.first() {
        return Err(SQL_NOT_ALLOWED
            .error(format!("in `{sql}` the column `{column}` stands outside of an aggregate"))
            .hint(format!("a condition on all rows says what to make of the column: `avg({column})`, `max({column})`, …")));
    }
    if aggregates.is_empty() {
        return Err(SQL_NOT_ALLOWED
            .error(format!("`{sql}` contains no aggregate"))
            .hint("write a condition on all rows, such as `count(*) > 0`; a condition on one row is a row rule"));
    }
    Ok(())
}

fn check_allowed(expression: &Expr, sql: &str) -> Result<()> {
    const HINT: &str = "a condition on all rows is made of plain aggregates: count, sum, avg, min, max, stddev, median, …";
    check_parts(expression, sql, HINT, |node| match node {
        Expr::AggregateFunction(aggregate) if !aggregate.params.order_by.is_empty() => Some("an aggregate in an order"),
        Expr::AggregateFunction(aggregate) if aggregate.params.args.iter().any(has_aggregate) => {
            Some("an aggregate of an aggregate")
        }
        _ => None,
    })
}

fn has_aggregate(expression: &Expr) -> bool {
    expression.exists(|node| Ok(matches!(node, Expr::AggregateFunction(_)))).unwrap_or(false)
}
