//! One version of a feature view in an online store.

use std::cell::RefCell;
use std::sync::Arc;

use arrow::array::{RecordBatch, TimestampMicrosecondArray};
use lw_core::{Error, Field, Result, Scalar, Span, Timestamp};
use lw_engine::is_within_ttl;

use super::layout::FeatureColumn;
use super::{EntityKeys, OnlineStore, RowHeader, RowLayout, ViewPut, ViewState};
use crate::RegisteredView;

/// Looks up and encodes the rows of one version of a view. Cheap to share; a look-up takes no lock that a writer holds for long
/// and allocates nothing but texts that outgrow their slots.
#[derive(Clone)]
pub struct OnlineView {
    store: Arc<dyn OnlineStore>,
    inner: Arc<Inner>,
}

struct Inner {
    /// `name@version`.
    id: String,
    event_column: String,
    known_column: String,
    ttl: Option<Span>,
    keys: EntityKeys,
    layout: RowLayout,
    features: Vec<Field>,
}

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    Found {
        event: Timestamp,
    },
    /// The newest row is older than the view's ttl, or lies in the future of the time asked about. All features are null.
    Expired {
        event: Timestamp,
    },
    /// No row for this entity, or a part of the key is null. All features are null.
    Missing,
}

thread_local! {
    static KEY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl OnlineView {
    pub fn new(store: Arc<dyn OnlineStore>, view: &RegisteredView) -> Self {
        let id = view.id();
        let inner = Inner {
            event_column: view.definition.event_time.clone(),
            known_column: view.definition.known_column().to_owned(),
            ttl: view.definition.ttl,
            keys: EntityKeys::new(&id, &view.entity),
            layout: RowLayout::new(&view.features),
            features: view.features.clone(),
            id,
        };
        Self { store, inner: Arc::new(inner) }
    }

    /// The view's name and version: `carrier_delays@2`.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The features in the order in which look-ups give them.
    pub fn features(&self) -> &[Field] {
        &self.inner.features
    }

    pub fn ttl(&self) -> Option<Span> {
        self.inner.ttl
    }

    /// How far the view has come, and how new its newest row is.
    pub fn state(&self) -> Result<Option<ViewState>> {
        self.store.view_state(&self.inner.id)
    }

    /// Fills `out`, one slot a feature, with what is known about an entity for a prediction at a time.
    ///
    /// The parts of the key come in the order of the view's entity. The answer is the one that the point-in-time join gives
    /// offline, provided that the view is materialized up to `at`.
    pub fn lookup(&self, key_parts: &[Scalar], at: Timestamp, out: &mut [Scalar]) -> Result<Lookup> {
        if out.len() != self.inner.features.len() {
            return Err(Error::bug(format!(
                "view `{}` has {} features, not {}",
                self.inner.id,
                self.inner.features.len(),
                out.len()
            )));
        }
        let lookup = KEY.with_borrow_mut(|key| {
            key.clear();
            if !self.inner.keys.write(key_parts, key)? {
                return Ok(Lookup::Missing);
            }
            let mut answer = Ok(Lookup::Missing);
            self.store.get(key, &mut |row| answer = self.inner.read(row, at, out))?;
            answer
        })?;
        if !matches!(lookup, Lookup::Found { .. }) {
            out.fill(Scalar::Null);
        }
        Ok(lookup)
    }

    /// Appends rows `range` of a batch from [`crate::view_rows`] to what a commit will put.
    pub fn encode(&self, batch: &RecordBatch, range: std::ops::Range<usize>, put: &mut ViewPut) -> Result<()> {
        let inner = &self.inner;
        let keys = inner.keys.columns(batch)?;
        let times = |name: &str| {
            let column =
                batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<TimestampMicrosecondArray>());
            column.ok_or_else(|| Error::bug(format!("no time column `{name}` in the rows of `{}`", inner.id)))
        };
        let (events, knowns) = (times(&inner.event_column)?, times(&inner.known_column)?);
        let feature = |field: &Field| {
            let column = batch.column_by_name(&field.name).ok_or_else(|| Error::bug(format!("no feature `{}`", field.name)))?;
            FeatureColumn::new(field.data_type, column)
        };
        let columns = inner.features.iter().map(feature).collect::<Result<Vec<_>>>()?;
        for row in range {
            let header =
                RowHeader { event: Timestamp::from_micros(events.value(row)), known: Timestamp::from_micros(knowns.value(row)) };
            put.push(|bytes| keys.write(row, bytes), |bytes| inner.layout.write(header, &columns, row, bytes));
        }
        Ok(())
    }

    /// Removes this version's rows from the store, for a version that no endpoint uses any more.
    pub fn remove(&self) -> Result<u64> {
        self.store.remove_view(&self.inner.id, self.inner.keys.prefix())
    }
}

impl Inner {
    fn read(&self, row: &[u8], at: Timestamp, out: &mut [Scalar]) -> Result<Lookup> {
        let event = RowHeader::read(row)?.event;
        if !is_within_ttl(event, at, self.ttl) {
            return Ok(Lookup::Expired { event });
        }
        self.layout.read_into(row, out)?;
        Ok(Lookup::Found { event })
    }
}
