//! Histories and samples, compared with what a list in memory would give.

use std::cmp::Ordering;

use lw_core::{RunId, Timestamp};
use lw_store::testing::both;
use lw_tracking::{Batch, HistoryFrom, MetricPoint};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::with_run;

fn stored(point: &MetricPoint) -> (f64, bool) {
    if point.value.is_nan() { (0.0, true) } else { (point.value, false) }
}

fn by_time(a: &MetricPoint, b: &MetricPoint) -> Ordering {
    let ((a_value, a_nan), (b_value, b_nan)) = (stored(a), stored(b));
    (a.at, a.step).cmp(&(b.at, b.step)).then(a_value.total_cmp(&b_value)).then(a_nan.cmp(&b_nan))
}

fn by_step(a: &MetricPoint, b: &MetricPoint) -> Ordering {
    let ((a_value, a_nan), (b_value, b_nan)) = (stored(a), stored(b));
    (a.step, a.at).cmp(&(b.step, b.at)).then(a_value.total_cmp(&b_value)).then(a_nan.cmp(&b_nan))
}

/// As SQL defines NTILE, row by row: the first of each bucket, and the last of all.
fn naive_sample(points: &[MetricPoint], n_buckets: usize) -> Vec<MetricPoint> {
    let mut points = points.to_vec();
    points.sort_by(by_step);
    let (size, n_larger) = (points.len() / n_buckets, points.len() % n_buckets);
    let sizes = (0..n_buckets).map(|bucket| size + usize::from(bucket < n_larger));
    let (mut sample, mut rest) = (Vec::new(), points.as_slice());
    for size in sizes {
        let (bucket, behind) = rest.split_at(size);
        sample.extend(bucket.first());
        rest = behind;
    }
    let Some(last) = points.last() else { return sample };
    if sample.last().is_none_or(|end| by_step(end, last).is_ne()) {
        if sample.len() >= n_buckets {
            sample.pop();
        }
        sample.push(*last);
    }
    sample
}

fn same(a: &[MetricPoint], b: &[MetricPoint]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| by_step(a, b).is_eq())
}

/// Few values, so that points meet again: in one batch, in the next one, and as the latest.
fn points() -> impl Strategy<Value = Vec<Vec<MetricPoint>>> {
    let value = prop_oneof![Just(f64::NAN), Just(-1.0), Just(0.0), Just(2.5)];
    let point = (value, 0_i64..4, -2_i64..3);
    let point = point.prop_map(|(value, at, step)| MetricPoint { value, at: Timestamp::from_millis(at), step });
    prop::collection::vec(prop::collection::vec(point, 0..12), 1..6)
}

#[test]
fn every_point_is_kept_once_in_whatever_order_they_come() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let mut runner = TestRunner::deterministic();
        for case in 0..60 {
            let batches = points().new_tree(&mut runner).unwrap().current();
            let key = format!("metric-{case}");
            let mut all: Vec<MetricPoint> = Vec::new();
            for batch in &batches {
                let logged = batch.iter().fold(Batch::default(), |logged, point| {
                    logged.metric(&key, point.value, point.at, point.step).metric("other", 1.0, point.at, point.step)
                });
                tracking.log(&ctx, &run.id, logged).await.unwrap();
                all.extend(batch);
            }
            all.sort_by(by_time);
            all.dedup_by(|a, b| by_time(a, b).is_eq());
            let history = tracking.history(&run.id, &key, 0, 1000).await.unwrap().points;
            assert!(same(&history, &all), "{batches:?}\n{history:?}");
            let mut gathered: Vec<MetricPoint> = Vec::new();
            loop {
                let from = gathered.last().map_or(HistoryFrom::Offset(0), |last| HistoryFrom::Point(*last));
                let part = tracking.history_from(&run.id, &key, from, 3).await.unwrap();
                gathered.extend(&part);
                if part.len() < 3 {
                    break;
                }
            }
            assert!(same(&gathered, &all), "parts end to end are the whole");
            let latest = tracking.run(&run.id).await.unwrap().metrics.get(&key).copied();
            let rank = |point: &MetricPoint| (point.step, point.at, !point.value.is_nan(), point.value);
            let want = all.iter().max_by(|a, b| rank(a).partial_cmp(&rank(b)).unwrap_or(Ordering::Equal));
            assert!(same(latest.as_slice(), want.copied().as_slice()), "{batches:?}\n{latest:?}");
            for n_most in [1, 2, 3, 5, 40] {
                let sample = tracking.sample(std::slice::from_ref(&run.id), &key, n_most, None).await.unwrap().remove(0).1;
                assert!(same(&sample, &naive_sample(&all, n_most as usize)), "{n_most} of {all:?}\n{sample:?}");
                let within: Vec<MetricPoint> = all.iter().filter(|point| (-1..=1).contains(&point.step)).copied().collect();
                let sample = tracking.sample(std::slice::from_ref(&run.id), &key, n_most, Some((-1, 1))).await.unwrap();
                assert!(same(&sample[0].1, &naive_sample(&within, n_most as usize)));
            }
        }
    });
}

#[test]
fn histories_of_several_runs_come_run_by_run() {
    both(|store| async move {
        let (tracking, ctx, experiment, first) = with_run(store).await;
        let new = lw_tracking::NewRun::of(experiment.id, lw_tracking::Circumstances::default());
        let second = tracking.start_run(&ctx, new).await.unwrap();
        for (run, offset) in [(&first.id, 10), (&second.id, 0)] {
            let batch = (0..4).fold(Batch::default(), |batch, index| {
                batch.metric("loss", f64::from(index), Timestamp::from_millis(i64::from(index + offset)), 0)
            });
            tracking.log(&ctx, run, batch).await.unwrap();
        }
        let unknown = RunId::parse(&"f".repeat(32)).unwrap();
        let mut ids = vec![unknown, second.id, first.id];
        let points = tracking.histories(&ids, "loss", 6).await.unwrap();
        ids.sort();
        assert_eq!(points.len(), 6);
        assert!(points.is_sorted_by_key(|(run, point)| (run.clone(), point.at)));
        assert!(tracking.histories(&ids, "none", 6).await.unwrap().is_empty());
    });
}
