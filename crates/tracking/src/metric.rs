//! Points on their way into the database.
//!
//! Of each metric the latest point stands in one table and all earlier ones in another, so that the first point of a metric, which most
//! logged points are, is one row, and a list of runs reads no history.

use lw_core::{Result, Timestamp};
use lw_store::Tx;

use crate::{BAD_METRIC_TIME, MetricPoint, queries};

/// Times are counted in microseconds since 1970 and not before.
pub(crate) fn check_time(key: &str, point: &MetricPoint, parameter: impl FnOnce() -> String) -> Result<()> {
    if point.at >= Timestamp::from_micros(0) && point.at.micros() != i64::MAX {
        return Ok(());
    }
    Err(BAD_METRIC_TIME
        .error(format!(
            "Invalid value {} for parameter '{}' supplied: metric '{key}' (value={:?}). Timestamp must be a nonnegative long \
             (64-bit integer) ",
            point.at.millis(),
            parameter(),
            point.value,
        ))
        .hint("a time is a number of milliseconds since 1970"))
}

/// The points of a batch that belong to one metric, from the earliest to the latest, each once.
type Group<'a> = &'a [(&'a str, MetricPoint)];

/// Logs points of a run. Points that are there already stay alone.
pub(crate) fn put(tx: &mut Tx<'_>, run: u64, points: &[(String, MetricPoint)]) -> Result<()> {
    if points.is_empty() {
        return Ok(());
    }
    let mut points: Vec<(&str, MetricPoint)> = points.iter().map(|(key, point)| (key.as_str(), *point)).collect();
    // In the order of the keys, in which the tables are clustered.
    points.sort_by(|(a_key, a), (b_key, b)| a_key.cmp(b_key).then_with(|| a.order(b)));
    points.dedup_by(|(a_key, a), (b_key, b)| a_key == b_key && a.order(b).is_eq());
    let groups: Vec<Group<'_>> = points.chunk_by(|(a, _), (b, _)| a == b).collect();
    let latest = groups.iter().filter_map(|group| group.last().copied());
    let n_new = queries::insert_latest(tx, run, latest)?;
    if n_new == groups.len() as u64 {
        let earlier = groups.iter().filter_map(|group| group.split_last()).flat_map(|(_, earlier)| earlier);
        return queries::insert_points(tx, run, earlier.copied());
    }
    merge(tx, run, &groups)
}

/// Logs points of metrics of which some had points before.
fn merge(tx: &mut Tx<'_>, run: u64, groups: &[Group<'_>]) -> Result<()> {
    let keys: Vec<&str> = groups.iter().filter_map(|group| group.first()).map(|(key, _)| *key).collect();
    let current = queries::latest_of(tx, run, &keys)?;
    let (mut earlier, mut latest) = (Vec::new(), Vec::new());
    for group in groups {
        let Some((key, newest)) = group.last() else { continue };
        let Some(before) = current.get(*key) else { continue };
        if newest.order(before).is_gt() {
            latest.push((*key, *newest));
            earlier.push((*key, *before));
            earlier.extend(group.iter().filter(|(_, point)| point.order(before).is_ne() && point.order(newest).is_ne()));
        } else {
            earlier.extend(group.iter().filter(|(_, point)| point.order(before).is_ne()));
        }
    }
    queries::insert_points(tx, run, earlier.into_iter())?;
    queries::replace_latest(tx, run, latest.into_iter())
}
