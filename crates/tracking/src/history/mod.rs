//! All points of a metric.

mod sample;

use lw_core::{Result, RunId};

use crate::{MetricPoint, Tracking, queries};

/// A page of a metric's points in the order of time, step and value.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage {
    pub points: Vec<MetricPoint>,
    /// Where the next page starts, if there is one.
    pub next_offset: Option<u64>,
}

/// Where to go on in a history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum From {
    /// After so many points.
    Offset(u64),
    /// After this point, which costs the same wherever it stands.
    Point(MetricPoint),
}

/// Which steps a sample is taken from: first and last one, both included.
pub type Steps = (i64, i64);

impl Tracking {
    /// The points of one metric. An unknown run or metric has none.
    pub async fn history(&self, run: &RunId, key: &str, offset: u64, limit: u64) -> Result<HistoryPage> {
        let limit = limit.clamp(1, 1_000_000);
        let mut points = self.history_from(run, key, From::Offset(offset), limit + 1).await?;
        let has_more = points.len() as u64 > limit;
        if has_more {
            points.pop();
        }
        Ok(HistoryPage { points, next_offset: has_more.then_some(offset + limit) })
    }

    /// The next points of one metric, for whoever hands on a history that may be longer than memory.
    pub async fn history_from(&self, run: &RunId, key: &str, from: From, limit: u64) -> Result<Vec<MetricPoint>> {
        let (run, key) = (run.clone(), key.to_owned());
        let read = move |reader: &mut lw_store::Reader<'_>| match queries::number_of(reader, &run)? {
            Some(number) => queries::points(reader, number, &key, from, limit),
            None => Ok(Vec::new()),
        };
        self.store.read(read).await
    }

    /// The points of one metric of several runs: by run, time, step and value, and at most `limit` of all together.
    pub async fn histories(&self, runs: &[RunId], key: &str, limit: u64) -> Result<Vec<(RunId, MetricPoint)>> {
        let (mut runs, key) = (runs.to_vec(), key.to_owned());
        runs.sort_unstable();
        runs.dedup();
        let read = move |reader: &mut lw_store::Reader<'_>| {
            let mut all = Vec::new();
            for run in runs {
                let left = limit.saturating_sub(all.len() as u64);
                let Some(number) = queries::number_of(reader, &run)?.filter(|_| left > 0) else { continue };
                let points = queries::points(reader, number, &key, From::Offset(0), left)?;
                all.extend(points.into_iter().map(|point| (run.clone(), point)));
            }
            Ok(all)
        };
        self.store.read(read).await
    }

    /// For each run at most `n_most` points of a metric, evenly spread over its points in the order of step, time and value; the first
    /// and the last one are among them.
    pub async fn sample(
        &self,
        runs: &[RunId],
        key: &str,
        n_most: u64,
        steps: Option<Steps>,
    ) -> Result<Vec<(RunId, Vec<MetricPoint>)>> {
        let (runs, key) = (runs.to_vec(), key.to_owned());
        let read = move |reader: &mut lw_store::Reader<'_>| {
            let sample = |run: RunId| {
                let points = match queries::number_of(reader, &run)? {
                    Some(number) => sample::of_metric(reader, number, &key, n_most.max(1), steps)?,
                    None => Vec::new(),
                };
                Ok((run, points))
            };
            runs.into_iter().map(sample).collect()
        };
        self.store.read(read).await
    }
}
