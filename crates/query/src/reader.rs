//! One door to every table: names are found, queries planned and run.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lw_core::{Ctx, Error, Result};
use lw_engine::{Area, Binding, Bound, Engine, Prepared, Query, TableId, table_names};
use lw_features::find_training_set;
use lw_serving::Serving;
use lw_store::Store;
use lw_traces::Traces;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::answer::{Answer, Limits, timed_out};
use crate::failures::TOO_MANY_QUERIES;
use crate::information_schema::{self, COLUMNS, TABLES, Table};
use crate::name::TableName;

/// Queries of readers that run at one time. Their memory is the engine's, which all share.
const MAX_RUNNING: usize = 16;
/// A query waits so long for a place before it is refused.
const PLACE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a reader stands on.
#[derive(Clone)]
pub struct ReaderParts {
    pub store: Store,
    pub engine: Engine,
    pub serving: Arc<Serving>,
    pub traces: Option<Traces>,
}

/// Reads tables by SQL. Cheap to clone; all clones share the places for queries.
#[derive(Clone)]
pub struct Reader {
    parts: ReaderParts,
    runtime: Handle,
    places: Arc<Semaphore>,
}

impl Reader {
    /// A reader whose queries run on the threads of the runtime that it is made on.
    pub fn new(parts: ReaderParts) -> Self {
        Self { parts, runtime: Handle::current(), places: Arc::new(Semaphore::new(MAX_RUNNING)) }
    }

    /// Understands a query: exactly one `SELECT` over tables that exist.
    pub async fn prepare(&self, ctx: &Ctx, sql: &str) -> Result<Statement> {
        let (reader, ctx, sql) = (self.clone(), ctx.clone(), Arc::<str>::from(sql));
        self.apart(async move {
            let names = table_names(&sql)?;
            let known = reader.parts.engine.tables().await?;
            reader.deliver(&ctx, &names).await?;
            let bindings = reader.bindings(&names, &known).await?;
            let hints = known.iter().map(TableId::sql_name).chain([TABLES.to_owned(), COLUMNS.to_owned()]).collect();
            let prepared = reader.parts.engine.prepare(&sql, bindings, hints).await?;
            tracing::info!(actor = %ctx.actor, tables = ?names, "`{}` reads {} by SQL", ctx.actor, names.join(", "));
            Ok(Statement { prepared: Arc::new(prepared), reader })
        })
        .await
    }

    /// Every table with its columns, at its newest version.
    pub async fn tables(&self) -> Result<Vec<Table>> {
        let reader = self.clone();
        self.apart(async move {
            let known = reader.parts.engine.tables().await?;
            reader.described(&known).await
        })
        .await
    }

    /// Starts a planned query.
    pub async fn start(&self, query: Query, limits: Limits) -> Result<Answer> {
        let place = tokio::time::timeout(PLACE_TIMEOUT.min(limits.timeout), Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| {
            TOO_MANY_QUERIES
                .error(format!("{MAX_RUNNING} queries run already"))
                .hint("wait until one has ended, and read answers to their end")
        })?;
        let place = place.map_err(|closed| Error::bug("the places for queries are gone").cause(closed))?;
        Ok(Answer::start(query, limits, place, &self.runtime))
    }

    /// Runs work on the reader's threads; it ends when its caller goes.
    async fn apart<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn_on(work, &self.runtime);
        match tokio::time::timeout(Limits::STANDARD.timeout, tasks.join_next()).await {
            Err(_) => Err(timed_out(Limits::STANDARD.timeout)),
            Ok(Some(Ok(outcome))) => outcome,
            Ok(Some(Err(error))) => Err(Error::bug("planning a query panicked").cause(error)),
            Ok(None) => Err(Error::bug("planning a query was lost")),
        }
    }

    /// Brings into their tables what waits in durable buffers, so that a query sees what was answered and logged before it.
    async fn deliver(&self, ctx: &Ctx, names: &[String]) -> Result<()> {
        let reads = |area: Area| names.iter().any(|name| TableName::parse(name).is_some_and(|name| name.table.area == area));
        if reads(Area::Prediction) {
            self.parts.serving.deliver().await?;
        }
        if let Some(traces) = self.parts.traces.as_ref().filter(|_| reads(Area::Trace)) {
            traces.deliver(ctx).await?;
        }
        Ok(())
    }

    /// What the names of a query stand for. A name without a table stays unbound, and the planner refuses it with the nearest one.
    async fn bindings(&self, names: &[String], known: &[TableId]) -> Result<Vec<Binding>> {
        let mut bindings = Vec::with_capacity(names.len());
        for name in names {
            match name.as_str() {
                TABLES => bindings.push(information_schema::tables(known)?),
                COLUMNS => bindings.push(information_schema::columns(&self.described(known).await?)?),
                _ => bindings.extend(self.binding(name).await?),
            }
        }
        Ok(bindings)
    }

    async fn binding(&self, text: &str) -> Result<Option<Binding>> {
        let Some(TableName { table, version }) = TableName::parse(text) else { return Ok(None) };
        if self.parts.engine.current_version(&table).await?.is_none() {
            return Ok(None);
        }
        let bound = match version.filter(|_| table.area == Area::TrainingSet) {
            None => Bound::Table { table, version },
            // A training set has versions of its own, and is a version of some table.
            Some(number) => match find_training_set(&self.parts.store, &table.name, number).await? {
                None => return Ok(None),
                Some(set) => Bound::Table { table: set.table, version: Some(set.table_version) },
            },
        };
        Ok(Some(Binding::new(text, bound)))
    }

    async fn described(&self, tables: &[TableId]) -> Result<Vec<Table>> {
        let mut described = Vec::with_capacity(tables.len());
        for id in tables {
            described.push(Table { id: id.clone(), columns: self.parts.engine.schema(id, None).await? });
        }
        Ok(described)
    }
}

/// A query that was understood. It can be run many times, over the versions of its tables that it was understood with.
#[derive(Clone)]
pub struct Statement {
    prepared: Arc<Prepared>,
    reader: Reader,
}

impl Statement {
    /// The parameters `$1`, `$2`, … with the types that their places ask for.
    pub fn parameters(&self) -> Result<SchemaRef> {
        self.prepared.parameters()
    }

    /// The columns of the answer, as far as they are known before the parameters are.
    pub fn schema(&self) -> Result<SchemaRef> {
        self.prepared.schema()
    }

    /// Plans the query with the one row of values for its parameters.
    pub async fn plan(&self, values: Option<RecordBatch>) -> Result<Query> {
        let prepared = Arc::clone(&self.prepared);
        self.reader.apart(async move { prepared.bind(values.as_ref()).await }).await
    }

    /// Plans and starts the query.
    pub async fn run(&self, values: Option<RecordBatch>, limits: Limits) -> Result<Answer> {
        let query = self.plan(values).await?;
        self.reader.start(query, limits).await
    }
}
