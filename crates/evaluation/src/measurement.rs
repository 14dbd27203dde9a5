//! Metrics with their intervals over one set of rows.

use std::collections::BTreeMap;

use lw_core::Result;
use lw_stats::{BootstrapOptions, Metric, UNDEFINED_METRIC, confidence_intervals};

use crate::Measurement;

pub(crate) fn measure(
    metrics: &[Metric],
    labels: &[f64],
    predictions: &[f64],
    options: &BootstrapOptions,
) -> Result<BTreeMap<Metric, Measurement>> {
    let intervals = confidence_intervals(metrics, labels, predictions, options)?;
    let measured = metrics.iter().zip(intervals).map(|(metric, interval)| {
        let measurement = match metric.compute_at(options.threshold, labels, predictions) {
            Ok(value) => Measurement { value: Some(value), interval, undefined: None },
            Err(error) if error.is(UNDEFINED_METRIC) => {
                Measurement { value: None, interval: None, undefined: Some(error.message().to_owned()) }
            }
            Err(error) => return Err(error),
        };
        Ok((*metric, measurement))
    });
    measured.collect()
}

pub(crate) fn n_positive(labels: &[f64]) -> u64 {
    labels.iter().filter(|label| **label == 1.0).count() as u64
}
