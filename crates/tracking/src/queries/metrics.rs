//! The statements about points of metrics.

use std::collections::{BTreeMap, HashMap};

use lw_core::{Digest, Result, Scalar, canonical_json};
use lw_store::{Cell, Insert, Reader, Tx};
use sha2::{Digest as _, Sha256};

use crate::MetricPoint;
use crate::history::{From, Steps};

const POINT: &str = "logged_at, step, metric_value, is_nan";

static INSERT_LATEST: Insert<6> = Insert::new(
    "INSERT INTO run_latest_metric (run, metric_key, logged_at, step, metric_value, is_nan)",
    "ON CONFLICT (run, metric_key) DO NOTHING",
);

static REPLACE_LATEST: Insert<6> = Insert::new(
    "INSERT INTO run_latest_metric (run, metric_key, logged_at, step, metric_value, is_nan)",
    "ON CONFLICT (run, metric_key) DO UPDATE SET logged_at = EXCLUDED.logged_at, step = EXCLUDED.step, \
     metric_value = EXCLUDED.metric_value, is_nan = EXCLUDED.is_nan",
);

static INSERT_POINT: Insert<6> = Insert::new(
    "INSERT INTO run_metric (run, metric_key, logged_at, step, metric_value, is_nan)",
    "ON CONFLICT (run, metric_key, logged_at, step, metric_value, is_nan) DO NOTHING",
);

/// Makes points the latest of metrics that have none, and returns of how many. Each metric stands once.
pub(crate) fn insert_latest<'a>(tx: &mut Tx<'_>, run: u64, points: impl Iterator<Item = (&'a str, MetricPoint)>) -> Result<u64> {
    tx.insert(&INSERT_LATEST, points.map(|(key, point)| row(run, key, &point)))
}

/// Makes points the latest of their metrics. Each metric stands once.
pub(crate) fn replace_latest<'a>(tx: &mut Tx<'_>, run: u64, points: impl Iterator<Item = (&'a str, MetricPoint)>) -> Result<()> {
    tx.insert(&REPLACE_LATEST, points.map(|(key, point)| row(run, key, &point)))?;
    Ok(())
}

/// Inserts points that are not the latest of their metrics. Those that are there already stay alone.
pub(crate) fn insert_points<'a>(tx: &mut Tx<'_>, run: u64, points: impl Iterator<Item = (&'a str, MetricPoint)>) -> Result<()> {
    tx.insert(&INSERT_POINT, points.map(|(key, point)| row(run, key, &point)))?;
    Ok(())
}

fn row<'a>(run: u64, key: &'a str, point: &MetricPoint) -> [Cell<'a>; 6] {
    let [at, step, value, is_nan] = point.cells();
    [run.into(), key.into(), at, step, value, is_nan]
}

/// The latest points of some metrics of a run.
pub(crate) fn latest_of(reader: &mut Reader<'_>, run: u64, keys: &[&str]) -> Result<HashMap<String, MetricPoint>> {
    let mut latest = HashMap::new();
    for chunk in keys.chunks(128) {
        // Few lengths of lists, so that few statements are prepared; the last key fills the rest.
        let length = [1, 8, 32, 128].into_iter().find(|length| *length >= chunk.len()).unwrap_or(128);
        let places: Vec<String> = (2..length + 2).map(|number| format!("${number}")).collect();
        let sql =
            format!("SELECT metric_key, {POINT} FROM run_latest_metric WHERE run = $1 AND metric_key IN ({})", places.join(", "));
        let mut parameters: Vec<Scalar> = vec![run.into()];
        parameters.extend(chunk.iter().map(|key| Scalar::from(*key)));
        let last = parameters.last().cloned().unwrap_or_default();
        parameters.resize(length + 1, last);
        reader.visit(&sql, &parameters, |row| {
            latest.insert(row.text(0)?.to_owned(), MetricPoint::of(row, 1)?);
            Ok(())
        })?;
    }
    Ok(latest)
}

/// By time, step and value.
pub(crate) fn points(reader: &mut Reader<'_>, run: u64, key: &str, from: From, limit: u64) -> Result<Vec<MetricPoint>> {
    let latest = latest_of(reader, run, &[key])?.into_values().next();
    // The latest point stands apart and may be anywhere among the others; the page begins one earlier, if it can, to see whether it
    // stands before.
    let (n_before, mut limit_read) = match from {
        From::Offset(offset) => (offset.min(1), limit.saturating_add(offset.min(1))),
        From::Point(_) => (0, limit),
    };
    limit_read = limit_read.min(i64::MAX.unsigned_abs());
    let mut parameters: Vec<Scalar> = vec![run.into(), key.into(), limit_read.into()];
    let (after, offset) = match from {
        From::Offset(offset) => {
            parameters.push((offset - n_before).into());
            ("", " OFFSET $4")
        }
        From::Point(point) => {
            let (value, is_nan) = point.stored();
            parameters.extend([point.at.into(), point.step.into(), value.into(), i64::from(is_nan).into()]);
            (" AND (logged_at, step, metric_value, is_nan) > ($4, $5, $6, $7)", "")
        }
    };
    // One table in the order of its key: the database reads as far as the page goes, and sorts nothing.
    let sql =
        format!("SELECT {POINT} FROM run_metric WHERE run = $1 AND metric_key = $2{after} ORDER BY {POINT} LIMIT $3{offset}");
    let mut points = Vec::new();
    reader.visit_in_bulk(&sql, &parameters, |row| {
        points.push(MetricPoint::of(row, 0)?);
        Ok(())
    })?;
    let latest = latest.filter(|latest| match from {
        From::Offset(_) => true,
        From::Point(point) => latest.in_time(&point).is_gt(),
    });
    Ok(with_latest(points, latest, n_before, limit))
}

/// Puts the latest point into its place among the others, of which `n_before` (none or one) precede the page. A page that has one
/// before it and nothing after is behind the end.
fn with_latest(mut points: Vec<MetricPoint>, latest: Option<MetricPoint>, n_before: u64, limit: u64) -> Vec<MetricPoint> {
    let Some(latest) = latest else {
        points.drain(..points.len().min(usize::try_from(n_before).unwrap_or_default()));
        points.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        return points;
    };
    let place = points.partition_point(|point| point.in_time(&latest).is_lt());
    if n_before == 1 && (place > 0 || points.is_empty()) {
        // The one before stays before; without any, the latest is before the page, too.
        points.insert(place, latest);
        points.remove(0);
    } else if n_before == 0 {
        points.insert(place, latest);
    }
    points.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    points
}

/// All points of a metric, or those of some steps, in the order of time, step and value.
pub(crate) fn visit_points(
    reader: &mut Reader<'_>,
    run: u64,
    key: &str,
    steps: Option<Steps>,
    visitor: impl FnMut(MetricPoint),
) -> Result<()> {
    visit_in_order(reader, run, key, steps, POINT, visitor)
}

/// The same in the order of step, time and value.
pub(crate) fn visit_points_by_step(
    reader: &mut Reader<'_>,
    run: u64,
    key: &str,
    steps: Option<Steps>,
    visitor: impl FnMut(MetricPoint),
) -> Result<()> {
    visit_in_order(reader, run, key, steps, "step, logged_at, metric_value, is_nan", visitor)
}

fn visit_in_order(
    reader: &mut Reader<'_>,
    run: u64,
    key: &str,
    steps: Option<Steps>,
    order: &str,
    mut visitor: impl FnMut(MetricPoint),
) -> Result<()> {
    let mut parameters: Vec<Scalar> = vec![run.into(), key.into()];
    let within = if steps.is_some() { " AND step >= $3 AND step <= $4" } else { "" };
    parameters.extend(steps.iter().flat_map(|(first, last)| [Scalar::from(*first), Scalar::from(*last)]));
    let part = |table: &str| format!("SELECT {POINT} FROM {table} WHERE run = $1 AND metric_key = $2{within}");
    let sql = format!("{} UNION ALL {} ORDER BY {order}", part("run_metric"), part("run_latest_metric"));
    reader.visit(&sql, &parameters, |row| {
        visitor(MetricPoint::of(row, 0)?);
        Ok(())
    })
}

/// How many points a run has logged.
pub(crate) fn count_points(reader: &mut Reader<'_>, run: u64) -> Result<u64> {
    let sql =
        "SELECT (SELECT COUNT(*) FROM run_metric WHERE run = $1) + (SELECT COUNT(*) FROM run_latest_metric WHERE run = $1) AS n";
    reader.query_opt(sql, &[run.into()])?.map_or(Ok(0), |row| row.count("n"))
}

/// One digest over all points, and how many they are.
pub(crate) fn digest_points(reader: &mut Reader<'_>, run: u64) -> Result<(Digest, u64)> {
    let part = |table: &str| format!("SELECT metric_key, {POINT} FROM {table} WHERE run = $1");
    let sql = format!("{} UNION ALL {} ORDER BY metric_key, {POINT}", part("run_metric"), part("run_latest_metric"));
    let (mut digests, mut n_points) = (BTreeMap::new(), 0_u64);
    let mut open: Option<(String, Sha256)> = None;
    let mut close = |done: Option<(String, Sha256)>| {
        if let Some((key, hasher)) = done {
            digests.insert(key, Digest::from_bytes(hasher.finalize().into()));
        }
    };
    reader.visit(&sql, &[run.into()], |row| {
        let key = row.text(0)?;
        if open.as_ref().is_none_or(|(before, _)| before != key) {
            close(open.replace((key.to_owned(), Sha256::new())));
        }
        if let Some((_, hasher)) = &mut open {
            hasher.update(point_bytes(&MetricPoint::of(row, 1)?));
        }
        n_points += 1;
        Ok(())
    })?;
    close(open.take());
    Ok((Digest::of(canonical_json(&digests).as_bytes()), n_points))
}

/// 24 bytes a point: time, step and the bits of the value, each little-endian.
fn point_bytes(point: &MetricPoint) -> [u8; 24] {
    let value = if point.value.is_nan() { f64::NAN } else { point.value };
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&point.at.micros().to_le_bytes());
    bytes[8..16].copy_from_slice(&point.step.to_le_bytes());
    bytes[16..].copy_from_slice(&value.to_le_bytes());
    bytes
}
