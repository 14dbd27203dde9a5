//! Monitors as a caller sees them, on real databases: windows in, observations, alerts and retraining requests out.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod crash;
mod definitions;
mod recording;
mod windows;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};
use arrow::record_batch::RecordBatch;
use lw_core::{Actor, Ctx, Name, SeededIds, SimulatedClock, Span, Timestamp};
use lw_monitoring::{Due, Limit, Metric, Monitor, Observation, Reference, RetrainPolicy, TimeWindow, Verdict, Watch, Watched};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn day(n: i64) -> Timestamp {
    Timestamp::parse("2013-04-10").unwrap() + Span::from_days(n)
}

fn ctx(now: Timestamp) -> Ctx {
    Ctx {
        clock: Arc::new(SimulatedClock::at(now)),
        ids: Arc::new(SeededIds::new(1)),
        actor: Actor::new("loopwright:monitor"),
        request_id: "test".into(),
    }
}

fn watched(version: u64) -> Watched {
    let retrain = Some(RetrainPolicy { on: vec![name("quality")], cooldown: Span::from_days(14) });
    Watched { model: name("late_arrival"), version, retrain }
}

fn quality(n_windows: u32) -> Monitor {
    Monitor {
        name: name("quality"),
        watch: Watch::Metric { metric: Metric::LogLoss, limit: Limit::WorseThanReferenceBy(0.05), min_labels: 50 },
        window: Span::from_days(7),
        every: Span::from_days(7),
        n_windows,
    }
}

/// The window of a monitor that ends on this day.
fn due(monitor: &Monitor, end: i64) -> Due {
    Due { monitor: monitor.clone(), window: TimeWindow::ending(day(end), monitor.window) }
}

fn observation(due: &Due, value: f64, verdict: Verdict) -> Observation {
    Observation {
        monitor: due.monitor.name.clone(),
        window: due.window,
        item: "log_loss".to_owned(),
        statistic: "log_loss".to_owned(),
        value: Some(value),
        limit: Some(0.55),
        p_value: None,
        n_rows: 900,
        n_labels: 800,
        verdict,
    }
}

/// Numbers spread evenly over 0 to 1 (Weyl, 1916), from another place for each seed.
fn even(n_rows: usize, seed: usize) -> Vec<f64> {
    (0..n_rows).map(|i| ((i + seed * 1_009) as f64 * 0.618_033_988_749_895).fract()).collect()
}

fn batch(distances: Vec<f64>, carriers: Vec<&str>) -> RecordBatch {
    let columns: [(&str, ArrayRef); 2] =
        [("distance", Arc::new(Float64Array::from(distances))), ("carrier", Arc::new(StringArray::from(carriers)))];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn carriers(n_rows: usize) -> Vec<&'static str> {
    ["AA", "B6", "UA"].into_iter().cycle().take(n_rows).collect()
}

fn reference() -> Reference {
    let training = batch(even(3_000, 0), carriers(3_000));
    Reference::default()
        .feature("distance", training.column(0))
        .and_then(|reference| reference.feature("carrier", training.column(1)))
        .and_then(|reference| reference.predictions(&even(2_000, 1)))
        .unwrap()
        .metric(Metric::LogLoss, 0.5)
}
