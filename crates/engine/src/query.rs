//! A planned query and its rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::TableSource;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use lw_core::Result;

use crate::Binding;
use crate::binding::provider;
use crate::column_type::canonical_batch;
use crate::sql::{Session, diagnose, logical_plan, output_schema, table_key};
use crate::table::Tables;

/// A query that is ready to run. Dropping it, or the stream it became, stops the work.
pub struct Query {
    sql: Arc<str>,
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
    session: Arc<Session>,
}

impl Query {
    pub(crate) async fn plan(session: &Arc<Session>, tables: &Tables, sql: &str, bindings: Vec<Binding>) -> Result<Self> {
        let mut sources: HashMap<String, Arc<dyn TableSource>> = HashMap::with_capacity(bindings.len());
        for binding in bindings {
            let key = table_key(&binding.name.as_str().into());
            sources.insert(key, provider_as_source(provider(session, tables, binding).await?));
        }
        let state = session.query();
        let logical = logical_plan(state, sql, sources)?;
        let optimized = state.optimize(&logical).map_err(|error| diagnose(&error, sql))?;
        let schema = output_schema(&optimized, sql)?;
        let planner = state.query_planner();
        let plan = planner.create_physical_plan(&optimized, state.as_ref()).await.map_err(|error| diagnose(&error, sql))?;
        Ok(Self { sql: sql.into(), schema, plan, session: session.clone() })
    }

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
