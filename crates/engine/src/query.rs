//! A query: understood, then bound to its parameters and planned, then its rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{LogicalPlan, TableSource};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use lw_core::Result;

use crate::Binding;
use crate::binding::provider;
use crate::column_type::{canonical_batch, canonical_type};
use crate::failures::SQL_PARAMETERS;
use crate::sql::{Session, count_parameters, diagnose, logical_plan, number_parameters, output_schema, table_key};
use crate::table::Tables;

/// A query that was understood: its names are found and its types are known, as far as its parameters let them be.
///
/// Parameters are written `$1`, `$2`, or `?` in the order in which they stand.
pub struct Prepared {
    sql: Arc<str>,
    logical: LogicalPlan,
    n_parameters: usize,
    session: Arc<Session>,
}

impl Prepared {
    /// `known` are further names that exist and are not bound, for hints.
    pub(crate) async fn understand(
        session: &Arc<Session>,
        tables: &Tables,
        sql: &str,
        bindings: Vec<Binding>,
        known: Vec<String>,
    ) -> Result<Self> {
        let mut sources: HashMap<String, Arc<dyn TableSource>> = HashMap::with_capacity(bindings.len());
        for binding in bindings {
            let key = table_key(&binding.name.as_str().into());
            sources.insert(key, provider_as_source(provider(session, tables, binding).await?));
        }
        let sql = number_parameters(sql)?;
        let logical = logical_plan(session.query(), &sql, sources, known)?;
        let names = logical.get_parameter_names().map_err(|error| diagnose(&error, &sql))?;
        let n_parameters = count_parameters(&names)?;
        Ok(Self { sql: sql.as_ref().into(), logical, n_parameters, session: session.clone() })
    }

    /// The parameters `$1`, `$2`, …, each with the type that its place asks for, or the type NULL where any will do.
    pub fn parameters(&self) -> Result<SchemaRef> {
        let types = self.logical.get_parameter_types().map_err(|error| diagnose(&error, &self.sql))?;
        let field = |number: usize| {
            let name = format!("${number}");
            let data_type = types.get(&name).cloned().flatten().unwrap_or(DataType::Null);
            Field::new(name, canonical_type(&data_type), true)
        };
        Ok(Arc::new(Schema::new((1..=self.n_parameters).map(field).collect::<Vec<_>>())))
    }

    /// The columns of the answer, as far as they are known before the parameters are.
    pub fn schema(&self) -> Result<SchemaRef> {
        output_schema(&self.logical, &self.sql)
    }

    /// Plans the query with one value for each parameter: the only row of `values`, its columns in the order of the parameters.
    pub async fn bind(&self, values: Option<&RecordBatch>) -> Result<Query> {
        let Self { sql, session, .. } = self;
        let wrong = |error| diagnose(&error, sql);
        let n_values = values.map_or(0, RecordBatch::num_columns);
        if n_values != self.n_parameters || values.is_some_and(|values| values.num_rows() != 1 && n_values > 0) {
            let rows = values.map_or(0, RecordBatch::num_rows);
            return Err(SQL_PARAMETERS
                .error(format!("the query has {} parameters, and {n_values} values in {rows} rows were given", self.n_parameters))
                .hint("give one row with a value for each of $1, $2, … (or each `?`, in order)"));
        }
        let scalar = |column: &ArrayRef| ScalarValue::try_from_array(column, 0).map(Into::into);
        let logical = match values.filter(|_| n_values > 0) {
            None => self.logical.clone(),
            Some(values) => {
                let list = values.columns().iter().map(scalar).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
                self.logical.clone().with_param_values(ParamValues::List(list)).map_err(wrong)?
            }
        };
        let state = session.query();
        let optimized = state.optimize(&logical).map_err(wrong)?;
        let schema = output_schema(&optimized, sql)?;
        let plan = state.query_planner().create_physical_plan(&optimized, state.as_ref()).await.map_err(wrong)?;
        Ok(Query { sql: sql.clone(), schema, plan, session: session.clone() })
    }
}

/// A query that is ready to run. Dropping it, or the stream it became, stops the work.
pub struct Query {
    sql: Arc<str>,
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
    session: Arc<Session>,
}

impl Query {
    /// The columns of the answer, of canonical types.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// All rows, within the memory limit. At least one batch comes back, empty when there are no rows.
    pub async fn collect(self) -> Result<Vec<RecordBatch>> {
        let schema = self.schema();
        let sql = self.sql.clone();
        let reservation = MemoryConsumer::new("query result").register(&self.session.runtime().memory_pool);
        let mut stream = self.stream()?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await? {
            reservation.try_grow(size_bytes(&batch)).map_err(|error| diagnose(&error, &sql))?;
            batches.push(batch);
        }
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok(batches)
    }

    /// The rows as they are made, in batches of a few thousand.
    pub fn stream(self) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let Self { sql, schema, plan, session } = self;
        let stream = execute_stream(plan, session.query().task_ctx()).map_err(|error| diagnose(&error, &sql))?;
        let canonical = move |batch: Result<RecordBatch, _>| match batch {
            Ok(batch) => canonical_batch(&batch, &schema),
            Err(error) => Err(diagnose(&error, &sql)),
        };
        Ok(stream.map(canonical).boxed())
    }
}

/// What a batch itself holds; a slice of a large batch counts for its own rows only.
pub(crate) fn size_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}
