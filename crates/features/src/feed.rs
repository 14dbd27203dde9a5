//! Many small materializations from one computation: how a replay moves features forward hour by hour.

use std::sync::Arc;

use arrow::array::{RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use futures::future::try_join_all;
use lw_core::{Error, Result, Timestamp};

use crate::online::{Durability, OnlineStore, OnlineView, PutBatch, PutSummary, ViewPut};
use crate::rows::available_at;
use crate::{AvailableRange, RegisteredView, Sources, ViewComputer};

/// The rows of several views that become available up to a horizon, in the order in which they do.
///
/// The views' SQL runs once, when the feed is opened; [`MaterializationFeed::advance`] then costs one durable commit and work in
/// proportion to the rows that became available. Open a new feed when the tables have new versions or the horizon is reached.
pub struct MaterializationFeed {
    online: Arc<dyn OnlineStore>,
    views: Vec<FedView>,
    horizon: Timestamp,
}

struct FedView {
    online: OnlineView,
    /// Sorted by `available`.
    rows: RecordBatch,
    available: TimestampMicrosecondArray,
    next: usize,
}

impl MaterializationFeed {
    /// Computes what each view has beyond its watermark in the online store, up to `horizon`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn open(
        computer: &ViewComputer,
        online: Arc<dyn OnlineStore>,
        views: &[RegisteredView],
        sources: &Sources,
        horizon: Timestamp,
    ) -> Result<Self> {
        let feed = async |view: &RegisteredView| {
            let online_view = OnlineView::new(online.clone(), view);
            let after = online_view.state()?.map(|state| state.watermark);
            let range = AvailableRange { after, until: horizon };
            let batches = computer.rows(&view.definition, sources, range).await?;
            FedView::new(online_view, &batches, view)
        };
        let views = try_join_all(views.iter().map(feed)).await?;
        Ok(Self { online, views, horizon })
    }

    /// Puts the rows of all views that were available by a time, in one commit.
    ///
    /// Times must not go backwards; a repeated time does nothing. Past the horizon the watermarks stay at the horizon. With
    /// [`Durability::Later`] a crash may take the store back to an earlier time, rows and watermarks together; what the feed of the next
    /// start computes begins there.
    pub fn advance(&mut self, until: Timestamp, durability: Durability) -> Result<PutSummary> {
        let until = until.min(self.horizon);
        let mut batch = PutBatch { durability, ..PutBatch::default() };
        let mut ends = Vec::with_capacity(self.views.len());
        for view in &self.views {
            let end = view.next + view.available.values()[view.next..].partition_point(|time| *time <= until.micros());
            let mut put = ViewPut::new(view.online.id(), until);
            view.online.encode(&view.rows, view.next..end, &mut put)?;
            batch.views.push(put);
            ends.push(end);
        }
        let summary = self.online.put_batch(&batch)?;
        for (view, end) in self.views.iter_mut().zip(ends) {
            view.next = end;
        }
        Ok(summary)
    }

    /// When the next row becomes available; none if all are in the store.
    pub fn next_available(&self) -> Option<Timestamp> {
        let next = |view: &FedView| view.available.values().get(view.next).copied();
        self.views.iter().filter_map(next).min().map(Timestamp::from_micros)
    }

    pub fn horizon(&self) -> Timestamp {
        self.horizon
    }

    /// Rows that are still to come.
    pub fn n_remaining(&self) -> usize {
        self.views.iter().map(|view| view.rows.num_rows() - view.next).sum()
    }
}

impl FedView {
    fn new(online: OnlineView, batches: &[RecordBatch], view: &RegisteredView) -> Result<Self> {
        let failed = |error: arrow::error::ArrowError| Error::bug("the rows of a view cannot be sorted").cause(error);
        let schema = batches.first().ok_or_else(|| Error::bug("the rows of a view came without a batch"))?.schema();
        let rows = concat_batches(&schema, batches).map_err(failed)?;
        let available = available(&rows, view)?;
        // A stable sort: of two rows with equal times the later one stands, online as offline.
        let n_rows = u32::try_from(rows.num_rows()).map_err(|error| Error::bug("a feed of over 4 billion rows").cause(error))?;
        let mut order: Vec<u32> = (0..n_rows).collect();
        order.sort_by_key(|row| available.value(*row as usize));
        let rows = take_record_batch(&rows, &UInt32Array::from(order)).map_err(failed)?;
        Ok(Self { online, available: self::available(&rows, view)?, rows, next: 0 })
    }
}

fn available(rows: &RecordBatch, view: &RegisteredView) -> Result<TimestampMicrosecondArray> {
    let time = |name: &str| rows.column_by_name(name).ok_or_else(|| Error::bug(format!("no time column `{name}`")));
    available_at(time(&view.definition.event_time)?, time(view.definition.known_column())?)
}
