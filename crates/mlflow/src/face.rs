//! What handlers work with.

use std::sync::Arc;

use lw_registry::Registry;
use lw_store::{Artifacts, Store};
use lw_tracking::Tracking;

/// The domain behind the protocol. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Face(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tracking: Tracking,
    registry: Registry,
    artifacts: Artifacts,
}

impl Face {
    pub fn new(store: Store, artifacts: Artifacts) -> Self {
        let (tracking, registry) = (Tracking::new(store.clone()), Registry::new(store));
        Self(Arc::new(Inner { tracking, registry, artifacts }))
    }

    pub fn tracking(&self) -> &Tracking {
        &self.0.tracking
    }

    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub fn artifacts(&self) -> &Artifacts {
        &self.0.artifacts
    }
}
