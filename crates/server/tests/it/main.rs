//! The server with real components behind it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod clients;
mod inference;
mod native;
mod socket;
mod speed;
mod world;
