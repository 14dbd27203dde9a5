//! The default online store: one file (redb), with the rows in use kept in memory.

use std::ops::Bound;
use std::path::Path;

use lw_core::{Error, Result, Timestamp};
use parking_lot::Mutex;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::cache::{Cached, RowCache};
use super::layout::RowHeader;
use super::memory::StateChange;
use super::{Durability, NewestRow, OnlineStore, PutBatch, PutSummary, ViewPut, ViewState};
use crate::failures::{ONLINE_STORE_FAILED, ONLINE_STORE_IN_USE};

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// View → watermark, newest event (`i64::MIN` for none), number of entities.
const VIEWS: TableDefinition<'_, &str, (i64, i64, u64)> = TableDefinition::new("views");

/// Rows in a redb file. Every batch is one durable commit; reads of rows in use touch memory alone.
pub struct EmbeddedStore {
    database: Database,
    cache: RowCache,
    /// Held from the start of a commit until the cache has its rows, so that batches reach both in the same order.
    writer: Mutex<()>,
}

impl EmbeddedStore {
    /// Opens or creates the file. One process at a time can have it open. The cache takes up to `cache_bytes`.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self> {
        let database = Database::create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => ONLINE_STORE_IN_USE
                .error(format!("the online store {} is in use by another process", path.display()))
                .hint("stop the other `loopwright`, or give this one a workspace of its own with --workspace DIR"),
            other => ONLINE_STORE_FAILED
                .error(format!("the online store {} cannot be opened", path.display()))
                .hint("check that the folder can be written to; deleting the file is safe: views are materialized again")
                .cause(other),
        })?;
        let store = Self { database, cache: RowCache::new(cache_bytes), writer: Mutex::new(()) };
        store.create_tables().map_err(failed)?;
        Ok(store)
    }

    fn create_tables(&self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(ROWS)?;
        transaction.open_table(VIEWS)?;
        transaction.commit()?;
        Ok(())
    }

    /// Commits a batch and returns the rows that were accepted.
    fn commit<'a>(&self, batch: &'a PutBatch, summary: &mut PutSummary) -> Result<Vec<(&'a [u8], &'a [u8])>> {
        let mut transaction = self.database.begin_write().map_err(failed)?;
        transaction.set_durability(durability(batch.durability)).map_err(failed)?;
        let mut accepted = Vec::new();
        {
            let mut rows = transaction.open_table(ROWS).map_err(failed)?;
            let mut views = transaction.open_table(VIEWS).map_err(failed)?;
            for view in &batch.views {
                let change = put_view(&mut rows, view, &mut accepted)?;
                let old = views.get(view.view.as_str()).map_err(failed)?.map(|guard| state(guard.value()));
                let new = change.apply(old, view);
                let newest_event = new.newest_event.map_or(i64::MIN, Timestamp::micros);
                views.insert(view.view.as_str(), (new.watermark.micros(), newest_event, new.n_entities)).map_err(failed)?;
                summary.n_given += view.len() as u64;
            }
        }
        transaction.commit().map_err(failed)?;
        summary.n_written = accepted.len() as u64;
        Ok(accepted)
    }

    fn read_from_disk(&self, key: &[u8], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), redb::Error> {
        let transaction = self.database.begin_read()?;
        let rows = transaction.open_table(ROWS)?;
        found(rows.get(key)?.as_ref().map(|guard| guard.value()));
        Ok(())
    }

    fn remove_from_disk(&self, view: &str, prefix: &[u8]) -> Result<u64, redb::Error> {
        let transaction = self.database.begin_write()?;
        let mut n_removed = 0;
        {
            let mut rows = transaction.open_table(ROWS)?;
            let end = next_prefix(prefix);
            let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            for entry in rows.extract_from_if::<&[u8], _>((Bound::Included(prefix), end), |_, _| true)? {
                entry?;
                n_removed += 1;
            }
            transaction.open_table(VIEWS)?.remove(view)?;
        }
        transaction.commit()?;
        Ok(n_removed)
    }
}

impl OnlineStore for EmbeddedStore {
    fn put_batch(&self, batch: &PutBatch) -> Result<PutSummary> {
        let _writer = self.writer.lock();
        let mut summary = PutSummary::default();
        for (key, row) in self.commit(batch, &mut summary)? {
            self.cache.put(key, row);
        }
        Ok(summary)
    }

    fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let generation = match self.cache.read(key, found) {
            Cached::Row => return Ok(true),
            Cached::Absent => return Ok(false),
            Cached::Unknown { generation } => generation,
        };
        let mut is_there = false;
        self.read_from_disk(key, &mut |row| {
            is_there = row.is_some();
            row.into_iter().for_each(&mut *found);
            self.cache.fill(key, row, generation);
        })
        .map_err(failed)?;
        Ok(is_there)
    }

    fn view_state(&self, view: &str) -> Result<Option<ViewState>> {
        let read = || -> Result<Option<ViewState>, redb::Error> {
            let views = self.database.begin_read()?.open_table(VIEWS)?;
            Ok(views.get(view)?.map(|guard| state(guard.value())))
        };
        read().map_err(failed)
    }

    fn remove_view(&self, view: &str, prefix: &[u8]) -> Result<u64> {
        let _writer = self.writer.lock();
        let n_removed = self.remove_from_disk(view, prefix).map_err(failed)?;
        self.cache.clear();
        Ok(n_removed)
    }
}

fn durability(asked: Durability) -> redb::Durability {
    match asked {
        Durability::Now => redb::Durability::Immediate,
        Durability::Later => redb::Durability::None,
    }
}

/// Writes a view's rows into the tree and adds the accepted ones to `accepted`.
fn put_view<'a>(
    rows: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    view: &'a ViewPut,
    accepted: &mut Vec<(&'a [u8], &'a [u8])>,
) -> Result<StateChange> {
    let mut change = StateChange::default();
    for NewestRow { key, header, row } in view.newest()? {
        let old = rows.get(key).map_err(failed)?.map(|guard| RowHeader::read(guard.value())).transpose()?;
        if change.accepts(old, header) {
            rows.insert(key, row).map_err(failed)?;
            accepted.push((key, row));
        }
    }
    Ok(change)
}

fn state((watermark, newest_event, n_entities): (i64, i64, u64)) -> ViewState {
    ViewState {
        watermark: Timestamp::from_micros(watermark),
        newest_event: (newest_event != i64::MIN).then(|| Timestamp::from_micros(newest_event)),
        n_entities,
    }
}

/// The least key that is greater than every key with this prefix.
fn next_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn failed(error: impl Into<redb::Error>) -> Error {
    let error = error.into();
    ONLINE_STORE_FAILED
        .error("the online store could not complete the operation; nothing was changed")
        .hint("check the free space and the health of the workspace's disk, then try again")
        .cause(error)
}
