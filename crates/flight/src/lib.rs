//! Arrow Flight SQL: notebooks, BI tools and drivers (ADBC, JDBC, ODBC) read tables as Arrow, without a conversion of rows.
//!
//! [`serve`] puts the protocol behind a socket of its own. What a query may read and cost is [`lw_query`]'s business, and who may call is
//! that of a [`Gate`], which the server has in common with its HTTP surface. This crate speaks the protocol: gRPC over HTTP/2 (`grpc`),
//! Flight's and Flight SQL's messages (`message`, `command`), and record batches on the wire (`wire`).
//!
//! Column buffers go from the query to the socket without a copy: a message is a list of pieces, and the large ones are the engine's own.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod command;
pub mod failures;
mod grpc;
mod handle;
mod listener;
mod message;
mod metadata;
mod parameter;
mod service;
mod sql_info;
mod wire;
mod xdbc;

pub use listener::serve;
pub use service::{Gate, Service};
