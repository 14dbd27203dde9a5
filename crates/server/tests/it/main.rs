//! The server with real components behind it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod clients;
mod identities;
mod inference;
mod lineage;
mod native;
mod roles;
mod socket;
mod speed;
mod status;
mod world;
