//! The engine at its border: SQL and rows in, rows and errors out.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod aggregation;
mod expression;
mod flights;
mod foreign_reader;
mod point_in_time;
mod query;
mod support;
mod table;
