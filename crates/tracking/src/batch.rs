//! What a run logs at once, and the limits of it.

use std::collections::BTreeMap;

use lw_core::{Ctx, Result, RunId, Timestamp};
use lw_store::Tx;
use serde::{Deserialize, Serialize};

use crate::{
    BAD_LOG_KEY, BATCH_TOO_LARGE, DUPLICATE_PARAM, PARAM_CHANGED, Tracking, queries,
    run::{self, NAME_TAG},
};

const MAX_METRICS: usize = 1000;
const MAX_PARAMS: usize = 100;
const MAX_TAGS: usize = 100;
const MAX_TOTAL: usize = 1000;
const MAX_KEY_BYTES: usize = 250;
const MAX_PARAM_CHARS: usize = 6000;
const MAX_TAG_CHARS: usize = 8000;

/// A value of a metric. Steps may be negative; a value may be NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MetricPoint {
    pub value: f64,
    pub at: Timestamp,
    pub step: i64,
}

impl MetricPoint {
    /// Infinite values are kept as the largest finite ones, as MLflow does. NaN stays NaN.
    fn bounded(self) -> Self {
        let value = if self.value.is_nan() { f64::NAN } else { self.value.clamp(f64::MIN, f64::MAX) };
        Self { value, ..self }
    }

    /// Whether this point is later than another one: by step, then time, then value. NaN is below every number.
    pub(crate) fn is_after(&self, other: &Self) -> bool {
        let rank = |point: &Self| (point.step, point.at, !point.value.is_nan());
        match rank(self).cmp(&rank(other)) {
            std::cmp::Ordering::Equal => self.value > other.value,
            order => order.is_gt(),
        }
    }
}

/// Metrics, parameters and tags that are logged in one transaction: all of them or none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    pub metrics: Vec<(String, MetricPoint)>,
    pub params: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
}

impl Batch {
    #[must_use]
    pub fn metric(mut self, key: &str, value: f64, at: Timestamp, step: i64) -> Self {
        self.metrics.push((key.to_owned(), MetricPoint { value, at, step }));
        self
    }

    #[must_use]
    pub fn param(mut self, key: &str, value: impl Into<String>) -> Self {
        self.params.push((key.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub fn tag(mut self, key: &str, value: impl Into<String>) -> Self {
        self.tags.push((key.to_owned(), value.into()));
        self
    }

    /// Checks the limits and brings values into the form in which they are stored.
    fn prepared(mut self) -> Result<Self> {
        check_limit("metrics", self.metrics.len(), MAX_METRICS)?;
        check_limit("params", self.params.len(), MAX_PARAMS)?;
        check_limit("tags", self.tags.len(), MAX_TAGS)?;
        check_limit("items", self.metrics.len() + self.params.len() + self.tags.len(), MAX_TOTAL)?;
        let keys = self.metrics.iter().map(|(key, _)| key).chain(self.params.iter().chain(&self.tags).map(|(key, _)| key));
        keys.into_iter().try_for_each(|key| check_key(key))?;
        let mut seen = BTreeMap::new();
        for (key, value) in &mut self.params {
            value.truncate(truncated(value, MAX_PARAM_CHARS).len());
            if seen.insert(key.clone(), ()).is_some() {
                return Err(DUPLICATE_PARAM.error(format!("the batch sets parameter `{key}` twice")));
            }
        }
        for (_, value) in &mut self.tags {
            value.truncate(truncated(value, MAX_TAG_CHARS).len());
        }
        for (_, point) in &mut self.metrics {
            *point = point.bounded();
        }
        Ok(self)
    }
}

impl Tracking {
    /// Logs a batch in one transaction. A parameter may be repeated with the same value; a metric point that was logged before
    /// is not logged again, so that repeating the whole call is safe.
    pub async fn log(&self, ctx: &Ctx, run: &RunId, batch: Batch) -> Result<()> {
        let (batch, run) = (batch.prepared()?, run.clone());
        self.store.write(ctx, move |tx| write(tx, &run, &batch)).await
    }

    /// Removes a tag. Removing one that is not there is no error.
    pub async fn remove_tag(&self, ctx: &Ctx, run: &RunId, key: &str) -> Result<()> {
        let (run, key) = (run.clone(), key.to_owned());
        self.store
            .write(ctx, move |tx| {
                run::active(run::found(tx, &run)?)?;
                queries::remove_tag(tx, &run, &key)
            })
            .await
    }
}

/// Logs a batch that is prepared, inside somebody's transaction.
pub(crate) fn write(tx: &mut Tx<'_>, run: &RunId, batch: &Batch) -> Result<()> {
    let record = run::active(run::found(tx, run)?)?;
    if !queries::insert_params(tx, run, &batch.params)? {
        check_same_params(tx, run, &batch.params)?;
    }
    queries::insert_points(tx, run, &batch.metrics)?;
    let mut latest: BTreeMap<&str, MetricPoint> = BTreeMap::new();
    for (key, point) in &batch.metrics {
        let newest = latest.entry(key).or_insert(*point);
        if point.is_after(newest) {
            *newest = *point;
        }
    }
    queries::put_latest(tx, run, latest.into_iter())?;
    // Of a tag that stands twice the last one counts.
    let tags: BTreeMap<&str, &str> = batch.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    queries::put_tags(tx, run, tags.into_iter())?;
    match batch.tags.iter().rev().find(|(key, _)| key == NAME_TAG) {
        Some((_, name)) if *name != record.name => run::rename(tx, record, name),
        _ => Ok(()),
    }
}

fn check_same_params(tx: &mut Tx<'_>, run: &RunId, params: &[(String, String)]) -> Result<()> {
    let stored = queries::params_of(tx, std::slice::from_ref(run))?.remove(run).unwrap_or_default();
    let changed = params.iter().find(|(key, value)| stored.get(key) != Some(value));
    let Some((key, value)) = changed else { return Ok(()) };
    let shown = |text: &str| text.chars().take(80).collect::<String>();
    let before = stored.get(key).map_or("", String::as_str);
    Err(PARAM_CHANGED
        .error(format!("parameter `{key}` of run {run} has the value `{}` and cannot become `{}`", shown(before), shown(value)))
        .hint("parameters never change; start another run, or log a tag or a metric"))
}

/// Keys become paths in some clients, so they must be normal ones: no empty parts, no `.` or `..`, not absolute.
pub(crate) fn check_key(key: &str) -> Result<()> {
    let chars_ok = key.chars().all(|c| c.is_alphanumeric() || "_-./ :".contains(c));
    let is_path_normal = key.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if !key.is_empty() && key.len() <= MAX_KEY_BYTES && chars_ok && is_path_normal {
        return Ok(());
    }
    let shown: String = key.chars().take(80).collect();
    Err(BAD_LOG_KEY
        .error(format!("`{shown}` cannot be a key"))
        .hint("a key has 1 to 250 bytes of letters, digits, `_ - . :`, spaces, and `/` between parts that are not empty"))
}

fn check_limit(what: &str, n_items: usize, limit: usize) -> Result<()> {
    if n_items <= limit {
        return Ok(());
    }
    Err(BATCH_TOO_LARGE
        .error(format!("the batch has {n_items} {what}; at most {limit} are logged at once"))
        .hint("log them in several batches"))
}

/// The first characters of a text.
pub(crate) fn truncated(text: &str, max_chars: usize) -> &str {
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}
