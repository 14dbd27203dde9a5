//! Queries over real tables, through the one door that readers have.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod names;

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use lw_core::{Actor, Ctx, Result};
use lw_engine::{Engine, EngineOptions, TableId, WriteMode, WriteOptions};
use lw_features::MemoryStore;
use lw_query::{Limits, Reader, ReaderParts};
use lw_serving::{Serving, ServingMetrics, ServingParts};
use lw_store::{Artifacts, MetadataUrl, Store};

/// A workspace's tables and a reader over them.
struct World {
    _directory: tempfile::TempDir,
    engine: Engine,
    reader: Reader,
    ctx: Ctx,
}

impl World {
    /// `flights` has two versions of 3 and 5 rows; `quarantine.flights` has one row.
    async fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tables_dir = directory.path().join("tables");
        let engine = Engine::open(EngineOptions { tables_dir, memory_limit_bytes: 64 << 20, n_threads: 2 }).unwrap();
        let store = Store::open(&MetadataUrl::sqlite(directory.path().join("metadata.db"))).unwrap();
        let artifacts = Artifacts::open(&format!("file://{}", directory.path().join("artifacts").display())).unwrap();
        let serving = Arc::new(Serving::new(ServingParts {
            store: store.clone(),
            artifacts,
            engine: engine.clone(),
            online: Arc::new(MemoryStore::default()),
            predictions_dir: directory.path().join("predictions"),
            metrics: ServingMetrics::default(),
        }));
        let reader = Reader::new(ReaderParts { store, engine: engine.clone(), serving, traces: None });
        let ctx = Ctx::real(Actor::new("ana"), "test");
        let world = Self { _directory: directory, engine, reader, ctx };
        world.write("flights", &[("AA", 5), ("UA", 7), ("AA", 9)]).await;
        world.write("flights", &[("DL", 1), ("UA", 2)]).await;
        world.write("quarantine.flights", &[("??", -1)]).await;
        world
    }

    async fn write(&self, table: &str, rows: &[(&str, i64)]) {
        let carriers = StringArray::from_iter_values(rows.iter().map(|(carrier, _)| carrier));
        let delays = Int64Array::from_iter_values(rows.iter().map(|(_, delay)| *delay));
        let batch =
            RecordBatch::try_from_iter([("carrier", Arc::new(carriers) as _), ("arr_delay", Arc::new(delays) as _)]).unwrap();
        let table = TableId::parse(table).unwrap();
        self.engine.write(&table, batch.schema(), vec![batch], WriteOptions::new(WriteMode::Append)).await.unwrap();
    }

    async fn rows(&self, sql: &str, values: Option<RecordBatch>, limits: Limits) -> Result<Vec<RecordBatch>> {
        let statement = self.reader.prepare(&self.ctx, sql).await?;
        statement.run(values, limits).await?.try_collect().await
    }

    /// The only value of an answer, as text.
    async fn value(&self, sql: &str) -> Result<String> {
        let batches = self.rows(sql, None, Limits::STANDARD).await?;
        let column = batches[0].column(0);
        Ok(arrow::util::display::array_value_to_string(column, 0).unwrap())
    }
}
