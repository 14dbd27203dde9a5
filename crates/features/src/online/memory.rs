//! An online store without a disk: for tests, and for replays whose features nobody needs afterwards.

use std::collections::BTreeMap;

use lw_core::Result;
use parking_lot::RwLock;

use super::layout::RowHeader;
use super::{NewestRow, OnlineStore, PutBatch, PutSummary, ViewState};

/// Rows in memory alone. They are gone when the store is dropped.
#[derive(Default)]
pub struct MemoryStore {
    content: RwLock<Content>,
}

#[derive(Default)]
struct Content {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    views: BTreeMap<String, ViewState>,
}

impl OnlineStore for MemoryStore {
    fn put_batch(&self, batch: &PutBatch) -> Result<PutSummary> {
        let newest = batch.views.iter().map(|view| view.newest()).collect::<Result<Vec<_>>>()?;
        let mut content = self.content.write();
        let mut summary = PutSummary::default();
        for (view, rows) in batch.views.iter().zip(newest) {
            let mut change = StateChange::default();
            summary.n_given += view.len() as u64;
            for NewestRow { key, header, row } in rows {
                let old = content.rows.get(key).map(|old| RowHeader::read(old)).transpose()?;
                if change.accepts(old, header) {
                    summary.n_written += 1;
                    content.rows.insert(key.to_vec(), row.to_vec());
                }
            }
            let state = change.apply(content.views.get(&view.view).copied(), view);
            content.views.insert(view.view.clone(), state);
        }
        Ok(summary)
    }

    fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let content = self.content.read();
        let row = content.rows.get(key);
        row.into_iter().for_each(|row| found(row));
        Ok(row.is_some())
    }

    fn view_state(&self, view: &str) -> Result<Option<ViewState>> {
        Ok(self.content.read().views.get(view).copied())
    }

    fn remove_view(&self, view: &str, prefix: &[u8]) -> Result<u64> {
        let mut content = self.content.write();
        let n_before = content.rows.len();
        content.rows.retain(|key, _| !key.starts_with(prefix));
        content.views.remove(view);
        Ok((n_before - content.rows.len()) as u64)
    }
}

/// What a batch does to the state of one view. Holds the rule for which row stays.
#[derive(Debug, Default)]
pub(super) struct StateChange {
    n_new: u64,
    newest_event: Option<lw_core::Timestamp>,
}

impl StateChange {
    /// Whether a row takes the place of the old one: yes unless the old one is newer. Of two rows with the same times the later
    /// one stands, as it does in the point-in-time join.
    pub(super) fn accepts(&mut self, old: Option<RowHeader>, new: RowHeader) -> bool {
        if old.is_some_and(|old| old > new) {
            return false;
        }
        self.n_new += u64::from(old.is_none());
        self.newest_event = self.newest_event.max(Some(new.event));
        true
    }

    pub(super) fn apply(&self, old: Option<ViewState>, put: &super::ViewPut) -> ViewState {
        let (watermark, newest_event, n_entities) =
            old.map_or((put.watermark, None, 0), |old| (old.watermark.max(put.watermark), old.newest_event, old.n_entities));
        ViewState { watermark, newest_event: newest_event.max(self.newest_event), n_entities: n_entities + self.n_new }
    }
}
