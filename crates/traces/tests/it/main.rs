//! Traces at their border, on SQLite and, where the environment names one, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod assessments;
mod datasets;
mod delivery;
mod killed;
mod scorers;
mod search;
mod spans;
mod starting;
mod world;
