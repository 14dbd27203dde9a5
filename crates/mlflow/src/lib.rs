//! MLflow's protocol: what an unmodified MLflow client calls, answered from the one domain that the native API has, too.
//!
//! [`routes`] is the table of what is served, each with the action that its callers must be allowed; the server puts its guard before
//! them. A handler reads a [`Message`] by MLflow's rules, asks the domain, and writes the answer as MLflow's server would: snake case,
//! unset fields left out, errors as [`Refusal`]s. What is *right* is decided in the domain, never here.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod artifacts;
mod document;
mod evaluation;
mod experiments;
mod face;
mod failures;
mod graphql;
mod logged_models;
mod message;
mod metrics;
mod model_adoption;
mod model_content;
mod model_file;
mod model_intake;
mod model_places;
mod model_source;
mod model_versions;
mod otlp;
mod refusal;
mod registered_models;
mod registry_answer;
mod route;
mod runs;
mod server_info;
mod traces;
mod unknown;
mod webhooks;

pub use face::Face;
pub use failures::*;
pub use message::{Fields, Message};
pub use model_adoption::{RecordedVersion, version_of};
pub use refusal::{ErrorCode, Refusal};
pub use route::{Route, routes};
pub use unknown::{method_not_allowed, not_found, owns};

/// The version that clients take this server for. They decide by it what they may ask.
pub const MLFLOW_VERSION: &str = "3.18.0";
