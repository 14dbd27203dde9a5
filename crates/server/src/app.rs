//! What handlers work with.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lw_core::{Actor, Clock, Ctx, Error, IdSource, Result};
use lw_governance::Identities;
use lw_mlflow::Face;
use lw_project::Workspace;
use lw_query::{Reader, ReaderParts};
use lw_serving::Serving;
use lw_store::{Artifacts, Store};
use lw_traces::Traces;
use prometheus_client::registry::Registry;

use crate::exposure::Authentication;
use crate::refusals::Refusals;
use crate::token::Token;

/// The parts of the platform that every surface needs. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    pub store: Store,
    pub artifacts: Artifacts,
    pub serving: Arc<Serving>,
    /// None for a server without MLflow's traces.
    pub traces: Option<Traces>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
}

/// How the server treats its callers.
#[derive(Debug, Clone)]
pub struct Access {
    pub authentication: Authentication,
    pub token: Token,
    /// Whether only this machine reaches the server.
    pub is_loopback: bool,
}

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    platform: Platform,
    access: Access,
    limits: Limits,
    metrics: Registry,
    workspace: OnceLock<Workspace>,
    reader: OnceLock<Reader>,
    identities: Identities,
    mlflow: Face,
    refusals: Refusals,
}

/// What one request may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub body_bytes: usize,
    pub timeout: Duration,
}

impl Limits {
    /// 32 MiB and five minutes, which a long `apply` or `verify` may need.
    pub const STANDARD: Self = Self { body_bytes: 32 << 20, timeout: Duration::from_secs(300) };
}

impl App {
    pub fn new(platform: Platform, access: Access, limits: Limits) -> Self {
        let mut metrics = Registry::default();
        platform.serving.metrics().register(&mut metrics);
        let identities = Identities::new(platform.store.clone());
        let mlflow = Face::new(platform.store.clone(), platform.artifacts.clone());
        let mlflow = platform.traces.iter().fold(mlflow, |face, traces| face.with_traces(traces.clone()));
        let (workspace, reader, refusals) = (OnceLock::new(), OnceLock::new(), Refusals::default());
        Self(Arc::new(Inner { platform, access, limits, metrics, workspace, reader, identities, mlflow, refusals }))
    }

    /// Attaches the workspace that the routes of projects, models and pipelines work on. Queries by SQL run on the runtime on which this
    /// is called.
    #[must_use]
    pub fn with_workspace(self, workspace: Workspace) -> Self {
        let parts = ReaderParts {
            store: workspace.store().clone(),
            engine: workspace.engine().clone(),
            serving: Arc::clone(workspace.serving()),
            traces: Some(workspace.traces().clone()),
        };
        let _ = self.0.reader.set(Reader::new(parts));
        // A second workspace for one app would be a second truth; the first one stays.
        let _ = self.0.workspace.set(workspace);
        self
    }

    pub fn workspace(&self) -> Result<&Workspace> {
        self.0.workspace.get().ok_or_else(|| Error::bug("this app was made without a workspace"))
    }

    /// What reads tables by SQL.
    pub fn reader(&self) -> Result<&Reader> {
        self.0.reader.get().ok_or_else(|| Error::bug("this app was made without a workspace"))
    }

    pub fn store(&self) -> &Store {
        &self.0.platform.store
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    pub fn identities(&self) -> &Identities {
        &self.0.identities
    }

    /// What answers MLflow's clients.
    pub fn mlflow(&self) -> &Face {
        &self.0.mlflow
    }

    /// The endpoints of this process.
    pub fn endpoints(&self) -> &Arc<Serving> {
        &self.0.platform.serving
    }

    pub fn platform(&self) -> &Platform {
        &self.0.platform
    }

    pub fn access(&self) -> &Access {
        &self.0.access
    }

    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    pub fn metrics(&self) -> &Registry {
        &self.0.metrics
    }

    /// The token for clients in this process, if callers must show one.
    pub fn local_token(&self) -> Option<String> {
        let access = self.access();
        (access.authentication == Authentication::Token).then(|| access.token.reveal())
    }

    /// The surroundings of one request.
    pub fn ctx(&self, actor: Actor, request_id: Arc<str>) -> Ctx {
        let platform = self.platform();
        Ctx { clock: Arc::clone(&platform.clock), ids: Arc::clone(&platform.ids), actor, request_id }
    }
}
