//! Some points for many: what a chart shows of a long metric.
//!
//! The points, ordered by step, time and value, are dealt into buckets as SQL's NTILE does; the first point of each bucket stands for it,
//! and the last point of all takes the place of the last one if it is not there already.

use std::cmp::Ordering;

use lw_core::Result;
use lw_store::Reader;

use super::Steps;
use crate::{MetricPoint, queries};

/// Longer metrics are ordered by the database, which has a disk to do so.
const MOST_IN_MEMORY: usize = 2_000_000;

pub(super) fn of_metric(
    reader: &mut Reader<'_>,
    run: u64,
    key: &str,
    n_most: u64,
    steps: Option<Steps>,
) -> Result<Vec<MetricPoint>> {
    let (mut points, mut n_points) = (Vec::new(), 0_u64);
    queries::visit_points(reader, run, key, steps, |point| {
        n_points += 1;
        if points.len() < MOST_IN_MEMORY {
            points.push(point);
        }
    })?;
    let mut sample = Vec::new();
    if n_points as usize <= MOST_IN_MEMORY {
        if !points.is_sorted_by(|a, b| in_chart(a, b).is_le()) {
            points.sort_by(in_chart);
        }
        let place = |index: u64| usize::try_from(index).ok().and_then(|index| points.get(index)).copied();
        sample.extend(firsts(n_points, n_most).filter_map(place));
    } else {
        drop(points);
        let (mut wanted, mut index) = (firsts(n_points, n_most).peekable(), 0_u64);
        let mut last = None;
        queries::visit_points_by_step(reader, run, key, steps, |point| {
            if wanted.next_if_eq(&index).is_some() {
                sample.push(point);
            }
            index += 1;
            last = Some(point);
        })?;
        return Ok(with_last(sample, last, n_most));
    }
    let last = points.last().copied();
    Ok(with_last(sample, last, n_most))
}

fn with_last(mut sample: Vec<MetricPoint>, last: Option<MetricPoint>, n_most: u64) -> Vec<MetricPoint> {
    let Some(last) = last else { return sample };
    if sample.last().is_some_and(|end| in_chart(end, &last).is_eq()) {
        return sample;
    }
    if sample.len() as u64 >= n_most {
        sample.pop();
    }
    sample.push(last);
    sample
}

/// By step, time and value; NaN counts as 0 and comes behind it, as it is stored.
fn in_chart(a: &MetricPoint, b: &MetricPoint) -> Ordering {
    let ((a_value, a_nan), (b_value, b_nan)) = (a.stored(), b.stored());
    (a.step, a.at)
        .cmp(&(b.step, b.at))
        .then_with(|| a_value.partial_cmp(&b_value).unwrap_or(Ordering::Equal))
        .then_with(|| a_nan.cmp(&b_nan))
}

/// The positions at which the buckets of NTILE begin: the first ones are larger by one where the rows do not come out even.
fn firsts(n_rows: u64, n_buckets: u64) -> impl Iterator<Item = u64> {
    let (size, n_larger) = (n_rows / n_buckets, n_rows % n_buckets);
    let n_filled = n_buckets.min(n_rows);
    (0..n_filled).map(move |bucket| bucket * size + bucket.min(n_larger))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_where_ntile_begins_them() {
        let check = |n_rows, n_buckets, want: &[u64]| assert_eq!(firsts(n_rows, n_buckets).collect::<Vec<_>>(), want);
        check(10, 3, &[0, 4, 7]);
        check(4, 2, &[0, 2]);
        check(2, 5, &[0, 1]);
        check(0, 5, &[]);
        check(7, 1, &[0]);
    }
}
