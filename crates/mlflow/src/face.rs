//! What handlers work with.

use std::sync::Arc;

use lw_core::{Ctx, Result};
use lw_registry::{Reach, Registry, Webhooks};
use lw_store::{Artifacts, Store};
use lw_traces::Traces;
use lw_tracking::Tracking;
use tokio::sync::OnceCell;

use crate::refusal::{Answer, ErrorCode, Refusal};

/// The domain behind the protocol. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Face(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    tracking: Tracking,
    registry: Registry,
    artifacts: Artifacts,
    webhooks: Webhooks,
    has_default: OnceCell<()>,
    traces: Option<Traces>,
}

impl Face {
    /// Webhooks reach public addresses alone.
    pub fn new(store: Store, artifacts: Artifacts) -> Self {
        Self::reaching(store, artifacts, Reach::PUBLIC)
    }

    /// A face whose webhooks reach what is said here.
    pub fn reaching(store: Store, artifacts: Artifacts, reach: Reach) -> Self {
        let webhooks = Webhooks::new(store.clone(), reach);
        let (tracking, registry) = (Tracking::new(store.clone()), Registry::new(store));
        Self(Arc::new(Inner { tracking, registry, artifacts, webhooks, has_default: OnceCell::new(), traces: None }))
    }

    /// The face with traces behind it.
    #[must_use]
    pub fn with_traces(self, traces: Traces) -> Self {
        Self(Arc::new(Inner { traces: Some(traces), ..(*self.0).clone() }))
    }

    /// The traces, which a process that keeps none refuses to talk of.
    pub(crate) fn traces(&self) -> Answer<&Traces> {
        let none = || Refusal::new(ErrorCode::NotImplemented, "this server keeps no traces");
        self.0.traces.as_ref().ok_or_else(none)
    }

    pub fn tracking(&self) -> &Tracking {
        &self.0.tracking
    }

    /// Tracking for a handler of MLflow's: the experiment `0`, which its clients expect from the first moment, is there.
    pub async fn ready_tracking(&self, ctx: &Ctx) -> Result<&Tracking> {
        let tracking = &self.0.tracking;
        self.0.has_default.get_or_try_init(|| tracking.ensure_default_experiment(ctx)).await?;
        Ok(tracking)
    }

    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub fn artifacts(&self) -> &Artifacts {
        &self.0.artifacts
    }

    pub fn webhooks(&self) -> &Webhooks {
        &self.0.webhooks
    }
}
