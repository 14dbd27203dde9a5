//! Rows of views, kept as long as the tables that they come from stay as they are.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use lw_core::{Digest, Name, Result, Timestamp};
use lw_engine::{Engine, table_names};
use parking_lot::Mutex;

use crate::rows::picked_within;
use crate::{AvailableRange, Sources, TableVersion, ViewDefinition, view_rows};

/// Rows of one workspace's views that stay in memory, at most.
const MAX_KEPT_BYTES: usize = 256 << 20;

/// Computes rows of views and keeps what it computed last: training sets, the online store and checks for skew ask for the rows of the
/// same views again and again, for other times, while their tables have no new version.
#[derive(Clone)]
pub struct ViewComputer {
    engine: Engine,
    kept: Arc<Mutex<Kept>>,
}

/// The views that were used last stand at the end.
#[derive(Default)]
struct Kept {
    views: VecDeque<KeptView>,
}

#[derive(Clone)]
struct KeptView {
    view: Name,
    /// Of the view's definition and the versions of its tables.
    key: Digest,
    rows: Arc<[RecordBatch]>,
    n_bytes: usize,
}

impl ViewComputer {
    pub fn new(engine: Engine) -> Self {
        Self { engine, kept: Arc::default() }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What [`view_rows`] returns.
    pub async fn rows(&self, view: &ViewDefinition, sources: &Sources, range: AvailableRange) -> Result<Vec<RecordBatch>> {
        // A view over views depends on the time that it is asked for: its own rows are made of what they knew by then.
        let Some(key) = key(view, sources)? else {
            return view_rows(&self.engine, view, sources, range).await;
        };
        let kept = self.kept.lock().find(&key);
        let rows = match kept {
            Some(rows) => rows,
            None => {
                let ever = AvailableRange::until(Timestamp::from_micros(i64::MAX));
                let rows: Arc<[RecordBatch]> = view_rows(&self.engine, view, sources, ever).await?.into();
                self.kept.lock().put(view.feature_view.clone(), key, rows.clone());
                rows
            }
        };
        picked_within(view, &rows, range)
    }
}

/// What the rows of a view depend on; none if it reads other views.
fn key(view: &ViewDefinition, sources: &Sources) -> Result<Option<Digest>> {
    let names = table_names(&view.sql)?;
    if sources.views.iter().any(|other| names.iter().any(|name| name == other.feature_view.as_str())) {
        return Ok(None);
    }
    let read: Vec<&TableVersion> = sources.tables.iter().filter(|table| names.contains(&table.table.sql_name())).collect();
    Ok(Some(Digest::of_json(&(view, read))))
}

impl Kept {
    fn find(&mut self, key: &Digest) -> Option<Arc<[RecordBatch]>> {
        let place = self.views.iter().position(|kept| kept.key == *key)?;
        let kept = self.views.remove(place)?;
        self.views.push_back(kept.clone());
        Some(kept.rows)
    }

    /// Replaces what was kept of the view, and makes room at the cost of those that were not used for longest.
    fn put(&mut self, view: Name, key: Digest, rows: Arc<[RecordBatch]>) {
        self.views.retain(|kept| kept.view != view);
        let n_bytes = rows.iter().map(RecordBatch::get_array_memory_size).sum();
        if n_bytes > MAX_KEPT_BYTES {
            return;
        }
        self.views.push_back(KeptView { view, key, rows, n_bytes });
        while self.views.iter().map(|kept| kept.n_bytes).sum::<usize>() > MAX_KEPT_BYTES {
            self.views.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int8Array};

    use super::*;

    fn rows(n_bytes: usize) -> Arc<[RecordBatch]> {
        let column: ArrayRef = Arc::new(Int8Array::from(vec![1; n_bytes]));
        vec![RecordBatch::try_from_iter([("x", column)]).unwrap()].into()
    }

    #[test]
    fn the_least_used_views_make_room_and_a_new_key_replaces_the_old_one() {
        let name = |text: &str| Name::parse(text).unwrap();
        let (a, b, c) = (Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c"));
        let mut kept = Kept::default();
        kept.put(name("first"), a, rows(100 << 20));
        kept.put(name("second"), b, rows(100 << 20));
        assert!(kept.find(&a).is_some());
        kept.put(name("third"), c, rows(100 << 20));
        assert!(kept.find(&b).is_none() && kept.find(&a).is_some() && kept.find(&c).is_some());
        kept.put(name("first"), b, rows(10));
        assert!(kept.find(&a).is_none() && kept.find(&b).is_some());
        kept.put(name("huge"), a, rows(300 << 20));
        assert!(kept.find(&a).is_none() && kept.find(&c).is_some());
    }
}
