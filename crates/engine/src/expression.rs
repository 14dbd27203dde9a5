//! SQL expressions that are compiled once and run on one row or a million by the same code.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use lw_core::{Error, Result};

use crate::column_type::{canonical_type, cast_to, type_text};
use crate::failures::{BAD_SQL, SQL_NOT_ALLOWED, SQL_TYPE_MISMATCH, UNKNOWN_COLUMN};
use crate::sql::{OFFLINE, diagnose, offline_planner, parse_expression};

/// One compiled expression. Cheap to clone, safe to share between threads.
///
/// ```
/// use std::sync::Arc;
/// use arrow::datatypes::{DataType, Field, Schema};
/// use lw_engine::{Expression, batch_from_rows, scalar_at};
///
/// let schema = Arc::new(Schema::new(vec![Field::new("arr_delay", DataType::Int32, true)]));
/// let is_late = Expression::compile("arr_delay > 15", &schema)?;
/// let batch = batch_from_rows(&schema, &[vec![20_i64.into()], vec![5_i64.into()]])?;
/// let column = is_late.evaluate(&batch)?;
/// assert_eq!(scalar_at(&column, 0)?, true.into());
/// # Ok::<(), lw_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Expression {
    sql: Arc<str>,
    /// The columns that the expression reads, and no others.
    inputs: SchemaRef,
    physical: Arc<dyn PhysicalExpr>,
    data_type: DataType,
    nullable: bool,
}

impl Expression {
    /// Compiles an expression over the columns of a schema. Aggregates, window functions and subqueries are refused: an
    /// expression knows one row.
    pub fn compile(sql: &str, schema: &SchemaRef) -> Result<Self> {
        let failed = |error| diagnose(&error, sql);
        let parsed = parse_expression(sql)?;
        let (catalog, options) = offline_planner();
        let columns = DFSchema::try_from(schema.as_ref().clone()).map_err(failed)?;
        let planner = SqlToRel::new_with_options(&catalog, options);
        let logical = planner.sql_to_expr(parsed, &columns, &mut PlannerContext::new()).map_err(failed)?;
        check_row_wise(&logical, sql)?;
        let logical = simplify(logical, &columns).map_err(failed)?;
        Self::from_logical(sql, logical, schema)
    }

    /// From an expression that is checked and simplified.
    pub(crate) fn from_logical(sql: &str, logical: Expr, schema: &SchemaRef) -> Result<Self> {
        let failed = |error| diagnose(&error, sql);
        let used: HashSet<String> = logical.column_refs().into_iter().map(|column| column.name.clone()).collect();
        let fields: Vec<Arc<Field>> = schema.fields().iter().filter(|field| used.contains(field.name())).cloned().collect();
        let inputs = Arc::new(Schema::new(fields));
        let input_columns = DFSchema::try_from(inputs.as_ref().clone()).map_err(failed)?;
        let data_type = canonical_type(&logical.get_type(&input_columns).map_err(failed)?);
        let nullable = logical.nullable(&input_columns).map_err(failed)?;
        let context = PhysicalPlanningContext::default();
        let physical = create_physical_expr(&logical, &input_columns, &ExecutionProps::new(), &context).map_err(failed)?;
        Ok(Self { sql: sql.into(), inputs, physical, data_type, nullable })
    }

    /// The canonical type of the answer.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    pub fn nullable(&self) -> bool {
        self.nullable
    }

    /// The columns that the expression reads.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.inputs.fields().iter().map(|field| field.name().as_str())
    }

    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// One value for each row of the batch, which finds its columns by name and may have others.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let columns = self.inputs.fields().iter().map(|field| column_of(batch, field, &self.sql)).collect::<Result<_>>()?;
        self.evaluate_columns(columns, batch.num_rows())
    }

    /// Evaluates over exactly the input columns, in their order.
    fn evaluate_columns(&self, columns: Vec<ArrayRef>, n_rows: usize) -> Result<ArrayRef> {
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        let inputs =
            RecordBatch::try_new_with_options(self.inputs.clone(), columns, &options).map_err(|error| self.misfit(&error))?;
        let value = self.physical.evaluate(&inputs).and_then(|value| value.into_array(n_rows));
        cast_to(&value.map_err(|error| diagnose(&error, &self.sql))?, &self.data_type)
    }

    fn misfit(&self, error: &arrow::error::ArrowError) -> Error {
        let inputs: Vec<String> =
            self.inputs.fields().iter().map(|field| format!("{} {}", field.name(), type_text(field.data_type()))).collect();
        SQL_TYPE_MISMATCH
            .error(format!("`{}` was compiled for other columns than these rows have", self.sql))
            .hint(format!("it reads {}", inputs.join(", ")))
            .cause(error.to_string())
    }
}

/// The column that an expression reads.
pub(crate) fn column_of(batch: &RecordBatch, field: &Field, sql: &str) -> Result<ArrayRef> {
    let missing = || UNKNOWN_COLUMN.error(format!("the rows have no column `{}`, which `{sql}` reads", field.name()));
    batch.column_by_name(field.name()).cloned().ok_or_else(missing)
}

pub(crate) fn simplify(expression: Expr, columns: &DFSchema) -> datafusion::error::Result<Expr> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(columns.clone()))
        .with_config_options(OFFLINE.config_options().clone())
        .build();
    let simplifier = ExprSimplifier::new(context);
    let coerced = simplifier.coerce(expression, columns)?;
    simplifier.simplify(coerced)
}

fn check_row_wise(expression: &Expr, sql: &str) -> Result<()> {
    let refusal = |node: &Expr| matches!(node, Expr::AggregateFunction(_)).then_some("an aggregate");
    check_parts(expression, sql, "an expression sees one row; compute this in the SQL of a feature view", refusal)
}

/// Refuses an expression with a part that needs more than rows (a window, a subquery, a parameter), or that `refusal` names.
pub(crate) fn check_parts(
    expression: &Expr,
    sql: &str,
    hint: &'static str,
    refusal: impl Fn(&Expr) -> Option<&'static str>,
) -> Result<()> {
    let mut refused = None;
    let visit = |node: &Expr| {
        refused = match node {
            Expr::WindowFunction(_) => Some("a window function"),
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => Some("a subquery"),
            Expr::Placeholder(_) | Expr::ScalarVariable(..) => Some("a parameter"),
            other => refusal(other),
        };
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    };
    expression.apply(visit).map_err(|error| diagnose(&error, sql))?;
    match refused {
        None => Ok(()),
        Some(what) => Err(SQL_NOT_ALLOWED.error(format!("`{sql}` contains {what}")).hint(hint)),
    }
}

/// Named expressions over the same rows, where a later one may use an earlier one.
#[derive(Debug, Clone)]
pub struct ExpressionSet {
    inputs: SchemaRef,
    output: SchemaRef,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    expression: Expression,
    /// Where each of the expression's columns stands in `output`.
    positions: Vec<usize>,
}

impl ExpressionSet {
    /// Compiles `(name, SQL)` pairs in order. A name must be new.
    pub fn compile(expressions: &[(String, String)], schema: &SchemaRef) -> Result<Self> {
        let mut output = schema.clone();
        let mut steps = Vec::with_capacity(expressions.len());
        for (name, sql) in expressions {
            if output.column_with_name(name).is_some() {
                return Err(BAD_SQL.error(format!("`{name}` is already a column")).hint("give the expression another name"));
            }
            let context = |error: Error| error.context(format_args!("expression `{name}`"));
            let expression = Expression::compile(sql, &output).map_err(context)?;
            let positions = expression.columns().filter_map(|column| output.index_of(column).ok()).collect();
            let mut fields = output.fields().to_vec();
            fields.push(Arc::new(Field::new(name, expression.data_type.clone(), expression.nullable)));
            output = Arc::new(Schema::new(fields));
            steps.push(Step { expression, positions });
        }
        Ok(Self { inputs: schema.clone(), output, steps })
    }

    /// The input columns and, after them, one column for each expression.
    pub fn schema(&self) -> &SchemaRef {
        &self.output
    }

    /// The expressions with their names, in order.
    pub fn expressions(&self) -> impl Iterator<Item = (&str, &Expression)> {
        let names = self.output.fields().iter().skip(self.inputs.fields().len()).map(|field| field.name().as_str());
        names.zip(self.steps.iter().map(|step| &step.expression))
    }

    /// The rows with the columns that the set was compiled for (found by name) and the expressions' columns after them.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = self.input_columns(batch)?;
        columns.reserve(self.steps.len());
        for step in &self.steps {
            let inputs = step.positions.iter().map(|position| columns[*position].clone()).collect();
            columns.push(step.expression.evaluate_columns(inputs, batch.num_rows())?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.output.clone(), columns, &options).map_err(|error| {
            SQL_TYPE_MISMATCH.error("the rows do not have the columns that the expressions were compiled for").cause(error)
        })
    }

    fn input_columns(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        if Arc::ptr_eq(batch.schema_ref(), &self.inputs) || batch.schema_ref() == &self.inputs {
            return Ok(batch.columns().to_vec());
        }
        let column = |field: &Arc<Field>| {
            let missing = || UNKNOWN_COLUMN.error(format!("the rows have no column `{}`", field.name()));
            batch.column_by_name(field.name()).cloned().ok_or_else(missing)
        };
        self.inputs.fields().iter().map(column).collect()
    }
}
