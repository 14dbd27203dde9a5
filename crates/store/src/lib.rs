//! The metadata database, the artifacts and the ledger.
//!
//! A [`Store`] runs closures in transactions: [`Store::write`] returns only when the change is on disk, and waiting writes share
//! one commit. Governed rows change through [`Tx::record`] alone, which writes the rows and a chained ledger entry together;
//! [`Store::verify`] proves that nobody changed either behind the ledger's back. [`Artifacts`] keeps files by their digest.
//!
//! ```
//! use lw_core::{Actor, Ctx, Draft, Subject, SubjectKind};
//!
//! lw_store::testing::both(|store| async move {
//!     let ctx = Ctx::real(Actor::new("ana"), "request-1");
//!     let draft = Draft::new("project.note", Subject::unversioned(SubjectKind::Project, "flights"));
//!     let entry = store.write(&ctx, move |tx| tx.record(draft)).await.unwrap();
//!     assert_eq!(entry.seq, 1);
//!     assert!(store.verify().await.unwrap().is_sound());
//! });
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod artifacts;
mod cell;
mod certificates;
mod connection;
mod encryption;
mod failures;
mod foreign;
pub mod journal;
mod ledger;
mod lock;
mod metadata_url;
mod migrations;
mod outbox;
mod password;
mod pattern;
mod postgresql;
mod row;
mod sqlite;
mod store;
pub mod testing;
mod transaction;
mod writer;

pub use artifacts::{Artifacts, Content, Garbage, PartsUpload, SentPart, Stored, Sweep, SweepMode};
pub use cell::{Cell, Insert, RowView};
pub use failures::*;
pub use foreign::ForeignSqlite;
pub use ledger::{ChainPart, EntryFilter, EntryLinks, Finding, Mention, Order, Verification};
pub use metadata_url::MetadataUrl;
pub use outbox::Message;
pub use row::Row;
pub use store::Store;
pub use transaction::{Reader, Tx};
