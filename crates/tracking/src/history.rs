//! All points of a metric.

use lw_core::{Result, RunId};
use lw_store::Reader;

use crate::{MetricPoint, Tracking, queries};

/// A page of a metric's points in the order of time, step and value.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage {
    pub points: Vec<MetricPoint>,
    /// Where the next page starts, if there is one.
    pub next_offset: Option<u64>,
}

impl Tracking {
    /// The points of one metric. An unknown run or metric has none.
    pub async fn history(&self, run: &RunId, key: &str, offset: u64, limit: u64) -> Result<HistoryPage> {
        let (run, key) = (run.clone(), key.to_owned());
        self.store.read(move |reader| page(reader, &run, &key, offset, limit)).await
    }
}

fn page(reader: &mut Reader<'_>, run: &RunId, key: &str, offset: u64, limit: u64) -> Result<HistoryPage> {
    let limit = limit.clamp(1, 1_000_000);
    let mut points = queries::points(reader, run, key, offset, limit + 1)?;
    let has_more = points.len() as u64 > limit;
    if has_more {
        points.pop();
    }
    Ok(HistoryPage { points, next_offset: has_more.then_some(offset + limit) })
}
