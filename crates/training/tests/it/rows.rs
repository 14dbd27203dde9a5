//! Rows for tests.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use lw_stats::Task;
use lw_training::{DataColumns, TrainingData};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Flights whose delay depends on the hour, on the delay before (often unknown) and on the carrier.
pub fn flights(n_rows: usize, seed: u64) -> RecordBatch {
    let mut random = Pcg64::seed_from_u64(seed);
    let (mut hour, mut before, mut carrier, mut tail, mut weekend) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut late, mut minutes) = (Vec::new(), Vec::new());
    for _ in 0..n_rows {
        let (h, delay) = (random.random_range(0..24_i64), random.random_range(-20.0..90.0_f64));
        let which = random.random_range(0..4_usize);
        hour.push(h);
        before.push((random.random::<f64>() < 0.8).then_some(delay * 1.1));
        carrier.push((random.random::<f64>() < 0.95).then_some(["AA", "B6", "UA", "Zürich"][which]));
        tail.push(format!("N{}", random.random_range(0..120)));
        weekend.push(random.random::<f64>() < 0.3);
        let expected = 2.0 * h as f64 + 0.5 * delay + 10.0 * which as f64 - 40.0 + random.random_range(-25.0..25.0);
        late.push(expected > 15.0);
        minutes.push(expected);
    }
    let columns: [(&str, ArrayRef); 7] = [
        ("hour", Arc::new(Int64Array::from(hour))),
        ("delay_before", Arc::new(Float64Array::from(before))),
        ("carrier", Arc::new(StringArray::from(carrier))),
        ("tailnum", Arc::new(StringArray::from(tail))),
        ("weekend", Arc::new(BooleanArray::from(weekend))),
        ("late", Arc::new(BooleanArray::from(late))),
        ("minutes", Arc::new(Float64Array::from(minutes))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

pub const INPUTS: [&str; 5] = ["hour", "delay_before", "carrier", "tailnum", "weekend"];

pub fn data_of(batch: RecordBatch, inputs: &[&str], label: &str, task: Task) -> lw_core::Result<TrainingData> {
    let inputs: Vec<String> = inputs.iter().map(|name| (*name).to_owned()).collect();
    TrainingData::from_batches(&[batch], DataColumns { inputs: &inputs, label, weight: None }, task)
}

pub fn label(task: Task) -> &'static str {
    match task {
        Task::BinaryClassification => "late",
        Task::Regression => "minutes",
    }
}

pub fn flights_data(n_rows: usize, seed: u64, task: Task) -> TrainingData {
    data_of(flights(n_rows, seed), &INPUTS, label(task), task).unwrap()
}
