//! Experiments, runs, and what runs log: parameters, metrics, tags, datasets and artifacts.
//!
//! A run states its circumstances when it starts (code, environment, hardware, seeds) and is sealed when it ends: the ledger keeps
//! the digests of what it had logged. The rules are those of MLflow, so that its clients find what they expect.
//!
//! ```
//! use lw_core::{Actor, Ctx};
//! use lw_tracking::{Batch, Circumstances, NewRun, RunStatus, Tracking};
//!
//! lw_store::testing::both(|store| async move {
//!     let ctx = Ctx::real(Actor::new("ana"), "request-1");
//!     let tracking = Tracking::new(store);
//!     let experiment = tracking.ensure_experiment(&ctx, "late_arrival").await.unwrap();
//!     let run = tracking.start_run(&ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
//!     let batch = Batch::default().param("l2", "1.0").metric("auc", 0.71, ctx.now(), 0);
//!     tracking.log(&ctx, &run.id, batch).await.unwrap();
//!     tracking.finish_run(&ctx, &run.id, RunStatus::Finished).await.unwrap();
//!     assert_eq!(tracking.run(&run.id).await.unwrap().metrics["auc"].value, 0.71);
//! });
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod adopt;
mod artifact;
mod batch;
mod circumstances;
mod experiment;
mod failures;
mod history;
mod inputs;
mod key;
mod location;
mod logged_model;
mod metric;
mod names;
mod point;
mod purge;
mod queries;
mod run;
mod seal;
mod search;

pub use adopt::{Adopted, AdoptedExperiment, AdoptedModel, AdoptedRun, ModelEnd, RunEnd};
pub use artifact::{Artifact, ArtifactFolder, ArtifactOwner, ArtifactPlace, check_artifact_path};
pub use batch::Batch;
pub use circumstances::{Circumstances, CodeVersion, Environment, Hardware, Source};
pub use experiment::{Experiment, ExperimentId, Lifecycle, NewExperiment};
pub use failures::*;
pub use history::{From as HistoryFrom, HistoryPage, Steps};
pub use inputs::{DatasetInput, DatasetSummary, ModelOutput};
pub use logged_model::{
    LoggedModel, LoggedModelData, LoggedModelId, LoggedModelSearch, LoggedModelStatus, Measurement, ModelMetric, NewLoggedModel,
};
pub use point::MetricPoint;
pub use purge::Purge;
pub use run::{NewRun, Projection, Run, RunData, RunStatus, RunUpdate};
pub use seal::Seal;
pub use search::{ExperimentSearch, Page, RunSearch, View};

use lw_store::Store;

/// Everything about experiments and runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tracking {
    store: Store,
}

impl Tracking {
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}
