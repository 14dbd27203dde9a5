//! Projects: files parsed, checked, planned and applied; model files compiled into pipelines; the loop over them, and its replay.
//!
//! ```text
//! Bundle → Project → check → plan → apply      (definitions)
//! compile → Steps                              (a model file as a pipeline, and what its steps do)
//! Workspace::tick                              (answers, canaries, monitors, triggers)
//! replay::run                                  (all of it on a simulated clock)
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bundle;
mod check;
mod code;
mod compile;
mod definition;
mod examples;
pub mod failures;
mod features;
mod freshness;
mod init;
mod milestone;
mod operations;
mod parse;
mod place;
mod plan;
mod project;
mod queries;
mod recipe;
pub mod replay;
mod reproduce;
mod retirement;
mod schemas;
mod scoring;
mod serving_bundle;
mod skew;
mod start;
mod state;
mod steps;
mod storage;
mod table_types;
mod turn;
mod versions;
mod workspace;

pub use bundle::Bundle;
pub use check::check;
pub use definition::{
    ApprovalsDefinition, ModelDefinition, PipelineFile, PolicyDefinition, ProjectDefinition, RetrainDefinition,
};
pub use features::MaterializedView;
pub use freshness::DataFreshness;
pub use init::init;
pub use operations::verify;
pub use parse::File;
pub use plan::{ChangeKind, Plan, Planned};
pub use project::Project;
pub use reproduce::{Compared, Reproduction};
pub use schemas::schemas;
pub use skew::Skew;
pub use state::{Applied, RunningProject};
pub use versions::{ApprovalRule, Decision, roll_back};
pub use workspace::{Workspace, WorkspaceOptions};
