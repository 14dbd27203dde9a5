//! The newest row of every entity, for predictions that cannot wait: one encoded row for a view and an entity.
//!
//! - [`OnlineStore`] keeps rows: [`EmbeddedStore`] on disk behind a cache, [`MemoryStore`] in memory alone.
//! - [`OnlineView`] is one version of a view in a store: it encodes rows on the way in and looks them up on the way out.
//! - The rule for age is [`lw_engine::is_within_ttl`], the very function that the point-in-time join calls.

mod batch;
mod cache;
mod embedded;
mod key;
mod layout;
mod memory;
mod view;

pub use batch::{Durability, NewestRow, PutBatch, PutSummary, ViewPut};
pub use embedded::EmbeddedStore;
pub use key::EntityKeys;
pub use layout::{RowHeader, RowLayout};
pub use memory::MemoryStore;
pub use view::{Lookup, OnlineView};

use lw_core::{Result, Timestamp};

/// Where the newest rows are kept. Keys and rows are bytes: [`OnlineView`] gives them meaning.
///
/// Two implementations: [`EmbeddedStore`] and [`MemoryStore`].
pub trait OnlineStore: Send + Sync {
    /// Puts the rows of all views and their states in one commit: after an error, or a crash, either all is there or nothing.
    ///
    /// A row replaces the one under its key unless that one is newer by event time, then known time; so a batch that comes
    /// twice, or late, does no harm. Blocks until the rows are as durable as the batch asks.
    fn put_batch(&self, batch: &PutBatch) -> Result<PutSummary>;

    /// Calls `found` with the row under the key, if there is one, and returns whether there was.
    fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<bool>;

    /// Calls `found` with the position of each key that has a row, and that row.
    fn get_many(&self, keys: &[&[u8]], found: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        for (position, key) in keys.iter().enumerate() {
            self.get(key, &mut |row| found(position, row))?;
        }
        Ok(())
    }

    /// What is known about a view that was materialized here; none if it never was.
    fn view_state(&self, view: &str) -> Result<Option<ViewState>>;

    /// Removes a version of a view: its rows, which all begin with the prefix, and its state. Returns the number of rows.
    fn remove_view(&self, view: &str, prefix: &[u8]) -> Result<u64>;
}

/// How far a view has come in an online store. Written in the commit that writes its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewState {
    /// Every row that was available by then is in the store.
    pub watermark: Timestamp,
    /// The newest event time among the rows, if there is a row.
    pub newest_event: Option<Timestamp>,
    /// How many entities have a row.
    pub n_entities: u64,
}
