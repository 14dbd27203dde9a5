//! The engine of one workspace: its tables, its memory, its threads.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lw_core::{Digest, Result};

use crate::point_in_time;
use crate::sql::Session;
use crate::table::Tables;
use crate::{Binding, Commit, PointInTime, Prepared, Query, TableId, WriteOptions, Written};

#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Where the tables lie: `<tables_dir>/<area>/<name>/`. Queries that outgrow the memory spill into `<tables_dir>/.spill`.
    pub tables_dir: PathBuf,
    /// What all queries together may hold in memory.
    pub memory_limit_bytes: usize,
    /// How many threads one query is spread over.
    pub n_threads: usize,
}

/// SQL and versioned tables. Cheap to clone; all clones share one memory limit.
#[derive(Clone)]
pub struct Engine {
    session: Arc<Session>,
    tables: Arc<Tables>,
}

impl Engine {
    pub fn open(options: EngineOptions) -> Result<Self> {
        let session = Arc::new(Session::open(&options)?);
        let tables = Arc::new(Tables::new(options.tables_dir, &session));
        Ok(Self { session, tables })
    }

    /// Writes rows as one new version of a table; the first write creates the table as version 0. All or nothing.
    ///
    /// `schema` is that of the batches. Columns are matched by name; a missing column, one that the table does not have (unless
    /// `add_columns`) or one of another type refuses the write. Every column of a table is nullable.
    #[tracing::instrument(level = "debug", skip_all, fields(%table))]
    pub async fn write(
        &self,
        table: &TableId,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
        options: WriteOptions,
    ) -> Result<Written> {
        self.tables.write(table, &schema, batches, &options).await
    }

    /// Removes the rows whose text column has one of the values, as a new version, and returns how many went. Older versions keep
    /// them until their files are collected.
    #[tracing::instrument(level = "debug", skip_all, fields(%table))]
    pub async fn remove(&self, table: &TableId, column: &str, values: &[String]) -> Result<u64> {
        self.tables.remove(table, column, values).await
    }

    /// The last version that an application recorded with [`crate::AppTxn`]. `None` when it never did, or the table is not there.
    pub async fn app_version(&self, table: &TableId, app_id: &str) -> Result<Option<i64>> {
        self.tables.app_version(table, app_id).await
    }

    /// The newest version, or `None` when the table is not there.
    pub async fn current_version(&self, table: &TableId) -> Result<Option<u64>> {
        self.tables.current_version(table).await
    }

    pub async fn schema(&self, table: &TableId, version: Option<u64>) -> Result<SchemaRef> {
        self.tables.schema(table, version).await
    }

    /// The digest of a version: over its columns and over path, size and row count of each of its files. Files are never
    /// changed, so equal digests mean the very same rows.
    #[tracing::instrument(level = "debug", skip_all, fields(%table))]
    pub async fn table_digest(&self, table: &TableId, version: u64) -> Result<Digest> {
        self.tables.digest(table, version).await
    }

    /// How many rows a version has, from the table's log alone.
    pub async fn row_count(&self, table: &TableId, version: Option<u64>) -> Result<u64> {
        self.tables.row_count(table, version).await
    }

    /// The newest `limit` versions, newest first.
    pub async fn history(&self, table: &TableId, limit: usize) -> Result<Vec<Commit>> {
        self.tables.history(table, limit).await
    }

    /// Plans a query over what its names are bound to. Nothing is read before [`Query::collect`] or [`Query::stream`].
    pub async fn query(&self, sql: &str, bindings: Vec<Binding>) -> Result<Query> {
        self.prepare(sql, bindings, Vec::new()).await?.bind(None).await
    }

    /// Understands a query without planning it, so that values can be bound to its parameters. `known` are names that exist and are
    /// not bound; a misspelt name gets the nearest of all as a hint.
    pub async fn prepare(&self, sql: &str, bindings: Vec<Binding>, known: Vec<String>) -> Result<Prepared> {
        Prepared::understand(&self.session, &self.tables, sql, bindings, known).await
    }

    /// Every table that was ever written, by area and name.
    pub async fn tables(&self) -> Result<Vec<TableId>> {
        self.tables.list().await
    }

    /// For every spine row, the newest row of each view that was known at the spine row's time: see [`PointInTime`].
    ///
    /// The batches that come back are those of the spine, row for row, with the output columns of the views after their own.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn point_in_time(&self, request: PointInTime) -> Result<Vec<RecordBatch>> {
        point_in_time::run(&self.session, request).await
    }
}
