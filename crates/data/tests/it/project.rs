//! A project folder with a workspace of its own, for one test.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use lw_core::{Actor, Ctx, RandomIds, Result, SimulatedClock, Timestamp};
use lw_data::{IngestReport, Services, SourceDefinition, ingest};
use lw_engine::{Area, Binding, Engine, EngineOptions, TableId};
use lw_store::testing::TestDirectory;
use lw_store::{Artifacts, MetadataUrl, Store};

pub struct Project {
    directory: TestDirectory,
    pub services: Services,
    clock: Arc<SimulatedClock>,
    pub ctx: Ctx,
}

impl Project {
    pub fn new() -> Self {
        let directory = TestDirectory::make();
        let workspace = directory.path().join(".loopwright");
        std::fs::create_dir_all(workspace.join("tables")).unwrap();
        let store = Store::open(&MetadataUrl::sqlite(workspace.join("metadata.db"))).unwrap();
        let options = EngineOptions { tables_dir: workspace.join("tables"), memory_limit_bytes: 256 << 20, n_threads: 2 };
        let artifacts = Artifacts::open(&format!("file://{}", workspace.join("artifacts").display())).unwrap();
        let services = Services::new(store, Engine::open(options).unwrap(), artifacts);
        let clock = Arc::new(SimulatedClock::at(Timestamp::parse("2024-01-01").unwrap()));
        let ctx = Ctx { clock: clock.clone(), ids: Arc::new(RandomIds), actor: Actor::new("ana"), request_id: "test".into() };
        Self { directory, services, clock, ctx }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn set_time(&self, time: &str) {
        self.clock.set(Timestamp::parse(time).unwrap());
    }

    pub async fn ingest(&self, definition: &SourceDefinition) -> Result<IngestReport> {
        ingest(&self.ctx, &self.services, definition, self.path()).await
    }

    pub async fn query(&self, sql: &str, area: Area, source: &SourceDefinition) -> Vec<RecordBatch> {
        let table = TableId::new(area, source.name.clone());
        self.services.engine.query(sql, vec![Binding::table(&table, None)]).await.unwrap().collect().await.unwrap()
    }

    /// The rows of a query as a table of text.
    pub async fn show(&self, sql: &str, area: Area, source: &SourceDefinition) -> String {
        pretty_format_batches(&self.query(sql, area, source).await).unwrap().to_string()
    }

    /// Asserts that nothing of a source is in the workspace: no table, no quarantine, no version, and a sound ledger.
    pub async fn check_untouched(&self, source: &SourceDefinition, n_versions: usize) {
        let versions = lw_data::queries::table_versions(&self.services.store, &source.name, None, 10).await.unwrap();
        assert_eq!(versions.len(), n_versions);
        let table = TableId::new(Area::Data, source.name.clone());
        let current = self.services.engine.current_version(&table).await.unwrap();
        assert_eq!(current, versions.first().map(|version| version.version));
        assert!(self.services.store.verify().await.unwrap().is_sound());
    }
}

pub fn source(yaml: &str) -> SourceDefinition {
    serde_saphyr::from_str(yaml).unwrap()
}
