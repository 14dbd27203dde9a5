//! MLflow's protocol at its border: requests as clients send them, answers as they read them.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod artifacts;
mod evaluation;
mod experiments;
mod graphql;
mod logged_models;
mod metrics;
mod model_versions;
mod odd;
mod otlp;
mod registered_models;
mod registry_world;
mod runs;
mod search;
mod traced;
mod traces;
mod webhooks;
mod world;
