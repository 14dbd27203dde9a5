//! Everything behind one door: the databases, tables, online store and endpoints of a workspace, and the loop over them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lw_core::{Actor, Clock, Ctx, IdSource, Name, RandomIds, Result, SystemClock};
use lw_engine::{Engine, EngineOptions};
use lw_features::{EmbeddedStore, Materializer, OnlineStore, ViewComputer};
use lw_pipelines::{Canceller, Pipelines};
use lw_serving::{Serving, ServingMetrics, ServingParts};
use lw_store::{Artifacts, Store};
use lw_traces::{TraceOptions, Traces};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::examples::{Examples, LastExamples};
use crate::failures::FILE_UNREADABLE;
use crate::state::{self, RunningProject};
use crate::storage::Storage;

/// Where a workspace keeps its state.
#[derive(Debug, Clone)]
pub struct WorkspaceOptions {
    pub directory: PathBuf,
    /// `sqlite:///…` or `postgres://…`; by default what the workspace was made with, at first `metadata.db` in the directory.
    pub metadata: Option<String>,
    /// `file:///…` or `s3://…`; by default what the workspace was made with, at first `artifacts/` in the directory.
    pub artifacts: Option<String>,
}

/// Memory that queries may take before they spill to disk.
const QUERY_MEMORY_BYTES: usize = 4 << 30;
const ONLINE_CACHE_BYTES: usize = 256 << 20;

/// An open workspace. Cheap to clone.
#[derive(Clone)]
pub struct Workspace(Arc<Inner>);

struct Inner {
    id: String,
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    store: Store,
    artifacts: Artifacts,
    engine: Engine,
    views: ViewComputer,
    online: Arc<dyn OnlineStore>,
    data: lw_data::Services,
    pipelines: Pipelines,
    serving: Arc<Serving>,
    traces: Traces,
    examples: LastExamples,
    background: Mutex<Vec<JoinHandle<()>>>,
    workers: Mutex<Vec<(Canceller, JoinHandle<()>)>>,
}

impl Workspace {
    /// Opens a workspace on the machine's clock, and makes it if it is not there.
    pub async fn open(options: WorkspaceOptions) -> Result<Self> {
        Self::open_with_clock(options, Arc::new(SystemClock)).await
    }

    /// Opens a workspace whose time is told by `clock`.
    pub async fn open_with_clock(options: WorkspaceOptions, clock: Arc<dyn Clock>) -> Result<Self> {
        make_directory(&options.directory)?;
        let storage = Storage::find(&options, &RandomIds)?;
        let store = Store::open(&storage.metadata)?;
        let artifacts = Artifacts::open(&storage.artifacts)?;
        storage.remember()?;
        let directory = options.directory;
        let n_threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let tables_dir = directory.join("tables");
        let engine = Engine::open(EngineOptions { tables_dir, memory_limit_bytes: QUERY_MEMORY_BYTES, n_threads })?;
        let online: Arc<dyn OnlineStore> = Arc::new(EmbeddedStore::open(&directory.join("online.redb"), ONLINE_CACHE_BYTES)?);
        let serving = Arc::new(Serving::new(ServingParts {
            store: store.clone(),
            artifacts: artifacts.clone(),
            engine: engine.clone(),
            online: online.clone(),
            predictions_dir: directory.join("predictions"),
            metrics: ServingMetrics::default(),
        }));
        serving.sync().await?;
        let options = TraceOptions { dir: directory.join("spans"), journal: storage.id.clone() };
        let traces = Traces::open(store.clone(), engine.clone(), options).await?;
        let data = lw_data::Services::new(store.clone(), engine.clone(), artifacts.clone());
        let pipelines = Pipelines::new(store.clone());
        let (background, workers) = (Mutex::default(), Mutex::default());
        let ids = Arc::new(RandomIds);
        Ok(Self(Arc::new(Inner {
            id: storage.id,
            directory,
            clock,
            ids,
            store,
            artifacts,
            views: ViewComputer::new(engine.clone()),
            engine,
            online,
            data,
            pipelines,
            serving,
            traces,
            examples: LastExamples::default(),
            background,
            workers,
        })))
    }

    /// Names this workspace among all that share a database, and stays the same when its process starts anew.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub fn artifacts(&self) -> &Artifacts {
        &self.0.artifacts
    }

    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Computes rows of views.
    pub(crate) fn views(&self) -> &ViewComputer {
        &self.0.views
    }

    pub fn online(&self) -> &Arc<dyn OnlineStore> {
        &self.0.online
    }

    pub fn pipelines(&self) -> &Pipelines {
        &self.0.pipelines
    }

    pub fn traces(&self) -> &Traces {
        &self.0.traces
    }

    pub fn serving(&self) -> &Arc<Serving> {
        &self.0.serving
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The surroundings of an operation that somebody asked for.
    pub fn ctx(&self, actor: Actor, request_id: &str) -> Ctx {
        Ctx { clock: self.0.clock.clone(), ids: self.0.ids.clone(), actor, request_id: request_id.into() }
    }

    /// The surroundings of what the platform does by itself.
    pub fn own_ctx(&self, part: &str) -> Ctx {
        self.ctx(Actor::new(&format!("loopwright:{part}")), &self.0.ids.next_hex())
    }

    pub fn feature_services(&self) -> lw_features::Services {
        lw_features::Services { store: self.0.store.clone(), artifacts: self.0.artifacts.clone(), computer: self.0.views.clone() }
    }

    pub fn data_services(&self) -> &lw_data::Services {
        &self.0.data
    }

    pub fn materializer(&self) -> Materializer {
        Materializer { store: self.0.store.clone(), computer: self.0.views.clone(), online: self.0.online.clone() }
    }

    /// The rows of a training set. They stay in memory for the next step until [`Self::forget_examples`].
    pub(crate) async fn examples(&self, name: &Name, version: u64) -> Result<Examples> {
        self.0.examples.load(self.engine(), name, version, self.store()).await
    }

    pub(crate) async fn forget_examples(&self) {
        self.0.examples.forget().await;
    }

    /// The project that runs.
    pub async fn project(&self) -> Result<RunningProject> {
        state::required(self.store(), self.artifacts()).await
    }

    /// Keeps a background task to end it with the workspace.
    pub(crate) fn keep(&self, task: JoinHandle<()>) {
        self.0.background.lock().push(task);
    }

    /// Keeps a worker to stop it with the workspace: its steps are given back, not lost.
    pub(crate) fn keep_worker(&self, canceller: Canceller, work: JoinHandle<()>) {
        self.0.workers.lock().push((canceller, work));
    }

    /// Brings the workspace to rest: background work ends, logged predictions are on disk and in their tables.
    pub async fn close(&self) {
        let tasks: Vec<JoinHandle<()>> = self.0.background.lock().drain(..).collect();
        for task in tasks {
            task.abort();
        }
        let workers: Vec<_> = self.0.workers.lock().drain(..).collect();
        for (canceller, work) in workers {
            canceller.cancel();
            if let Err(error) = work.await {
                tracing::error!(?error, "A worker panicked: {error}");
            }
        }
        if let Err(error) = self.serving().deliver().await {
            tracing::error!(?error, "Predictions stay in their buffer until the next start: {error}");
        }
        if let Err(error) = self.traces().deliver(&self.own_ctx("spans")).await {
            tracing::error!(?error, "Spans stay in their journal until the next start: {error}");
        }
    }
}

fn make_directory(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|error| {
        FILE_UNREADABLE
            .error(format!("the workspace `{}` cannot be made", directory.display()))
            .hint("check permissions and free space, or name another folder with --workspace")
            .cause(error)
    })
}
