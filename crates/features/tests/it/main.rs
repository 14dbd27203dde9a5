//! The behaviour of feature views, training sets and the online store, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "the flights test tells how long its parts took")]

mod fixtures;
mod flights;
mod materialization;
mod online_store;
mod parity;
mod registration;
mod training_set;
