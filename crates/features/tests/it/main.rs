//! The behaviour of feature views, training sets and the online store, seen from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixtures;
mod flights;
mod materialization;
mod online_store;
mod parity;
mod registration;
mod training_set;
