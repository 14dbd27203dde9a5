//! Serving against real components.
#![expect(clippy::unwrap_used, reason = "tests")]

mod endpoint;
mod loading;
mod log;
mod retirement;
mod runtime;
mod speed;
mod world;
