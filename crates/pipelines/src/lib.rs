//! The durable engine: pipelines as data, their steps run exactly as far as they got, through crashes, restarts and several workers.
//!
//! The engine knows no stage. A caller supplies the code behind the kinds of steps as a [`StepRunner`]; the engine decides what runs
//! when, and keeps how far each run is in the metadata database:
//!
//! - A step is **claimed** with a lease and a fence that grows with every claim. A worker that loses its lease cannot report any
//!   more; a process that restarts under its old name takes back its steps at once.
//! - A **finished step never runs again**, and its manifest is handed to the steps that need it.
//! - **Failures** that may pass by themselves are tried again with exponential backoff; what needs a failed step is skipped.
//! - A step may **wait** for a signal (an approval) or for a time, and holds no slot meanwhile.
//! - **Schedules and requests** start exactly one run each.
//!
//! A step's attempt can be cut off anywhere, so its outside effects happen at least once: give them names made from
//! [`StepContext::idempotency_key`], or pass [`StepContext::fence`] to stores that can check it.
//!
//! ```
//! use std::sync::Arc;
//! use lw_core::{Actor, Ctx, Name};
//! use lw_pipelines::{PipelineDefinition, Pipelines, Start, StepContext, StepDefinition, StepOutput, StepRunner, Worker, WorkerOptions};
//!
//! struct Doubler;
//!
//! #[async_trait::async_trait]
//! impl StepRunner for Doubler {
//!     async fn run(&self, context: StepContext) -> lw_core::Result<StepOutput> {
//!         let input = context.upstream.values().find_map(|manifest| manifest.outputs["n"].as_i64()).unwrap_or(1);
//!         context.log.line(format!("doubling {input}"));
//!         Ok(StepOutput::done(serde_json::json!({"n": 2 * input})))
//!     }
//! }
//!
//! lw_store::testing::both(|store| async move {
//!     let ctx = Ctx::real(Actor::new("ana"), "request-1");
//!     let pipelines = Pipelines::new(store);
//!     let definition = PipelineDefinition {
//!         pipeline: Name::parse("doubling").unwrap(),
//!         description: String::new(),
//!         steps: vec![
//!             StepDefinition::new("first", "double", serde_json::Value::Null),
//!             StepDefinition::new("second", "double", serde_json::Value::Null).needs(&["first"]),
//!         ],
//!         schedule: None,
//!     };
//!     let started = pipelines.start_definition(&ctx, definition, Start::by_hand()).await.unwrap();
//!     Worker::new(&ctx, pipelines.clone(), Arc::new(Doubler), WorkerOptions::new("here", 2)).drain(&ctx).await.unwrap();
//!
//!     let view = pipelines.run(&started.run).await.unwrap();
//!     assert_eq!(view.step("second").unwrap().manifest.as_ref().unwrap().outputs["n"], 4);
//! });
//! ```

mod active;
mod attempt;
mod cache;
mod claim;
mod compiled;
mod definition;
mod failures;
mod fire;
mod housekeeping;
mod journal;
mod log;
mod pipelines;
mod progress;
mod queries;
mod run;
mod runner;
mod schedule;
mod step;
mod trouble;
mod worker;

pub use definition::{Graph, PipelineDefinition, Retries, RetryOn, StepDefinition};
pub use failures::*;
pub use fire::{PipelineRequest, REQUEST_TOPIC, SCHEDULED_FOR};
pub use log::{LogLine, LogSink};
pub use pipelines::{Deployed, MAX_PAGE, Pipelines};
pub use run::{PipelineRunId, RunState, RunSummary, RunView, Start, Started, StepError, StepView};
pub use runner::{Cancellation, Canceller, Manifest, StepContext, StepOutput, StepRunner};
pub use schedule::{Due, Missed, Overlap, Schedule};
pub use trouble::Trouble;
pub use worker::{Drained, Worker, WorkerOptions};
