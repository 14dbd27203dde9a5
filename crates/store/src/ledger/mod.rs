//! The ledger: a chain of entries, each written in the transaction of the change that it records.

mod entries;
mod queries;
mod record;
mod verify;

pub use entries::{ChainPart, EntryFilter, EntryLinks, Mention, Order};
pub(crate) use queries::read_head;
pub use verify::{Finding, Verification};
