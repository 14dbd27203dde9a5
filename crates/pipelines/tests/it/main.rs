//! The engine as its callers see it, on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crash;
mod runner;
mod runs;
mod triggers;
mod workers;
