//! Endpoints: model versions that answer, switch without losing a request, and account for every answer.
//!
//! - [`Bundle`] says what a version needs: request fields, features, expressions, inputs, output.
//! - [`Scorer`] is a loaded version: online look-up, request-time expressions, native evaluator or ONNX Runtime.
//! - [`Endpoint`] routes rows to champion and canary by entity, keeps shadows fed, and logs.
//! - [`Serving`] keeps a process's endpoints in step with the governed [`Deployment`]s.
//! - [`PredictionLog`] makes each answer durable and moves it into a Delta table exactly once.
//! - [`decide_rollout`] is the rule that promotes a canary or rolls it back.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bundle;
mod deployment;
mod endpoint;
pub mod failures;
mod features;
pub mod log;
mod metrics;
mod predictions;
mod queries;
mod request;
mod rollout;
mod routing;
mod rows;
mod runtime;
mod scorer;
mod serving;
mod shadow;

pub use bundle::{Bundle, EntityKey, FeatureColumn, FeatureLookup, ModelInput, Output, RequestExpression, RequestField};
pub use deployment::{Activation, Deployment, activate, all_current, current, history, retire, roll_back};
pub use endpoint::{Endpoint, Routes, Tally};
pub use features::{LookupGap, ViewReader};
pub use log::{Delivery, FIXED_COLUMNS, LogOptions, PredictionLog, prediction_table};
pub use metrics::ServingMetrics;
pub use predictions::{Answerer, Predictions};
pub use request::{Key, MAX_ROWS, MAX_TEXT_BYTES, RequestSchema};
pub use rollout::{RolloutDefinition, RolloutFacts, RolloutVerdict, Side, decide_rollout};
pub use routing::{Canary, Role, Routing, Served};
pub use rows::{ColumnBuilder, Rows, Value, bad_row_count, unknown_field};
pub use runtime::{LIBRARY_VARIABLE, Runtime, RuntimeChoice, load as load_runtime, onnxruntime_library};
pub use scorer::{Scored, Scorer};
pub use serving::{Serving, ServingParts, Unloaded, load_scorer};
