//! SQL for people: what the names in a query stand for, and an answer that cannot cost more than it may.
//!
//! A [`Reader`] knows every table of a workspace by its area and name, at any of its versions, and lists them in
//! `information_schema`. A query becomes a [`Statement`], which may have parameters, and a statement an [`Answer`]: a stream of record
//! batches that is made as fast as it is read, ends at its deadline, and stops when it is dropped.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod answer;
mod bytes;
pub mod failures;
mod information_schema;
mod name;
mod reader;

pub use answer::{Answer, Canceller, Limits};
pub use bytes::shared_bytes;
pub use information_schema::{Table, is_like};
pub use reader::{Reader, ReaderParts, Statement};
