//! Metrics of predicted numbers against true ones. The callers have checked the rows: equally many, finite, at least one.

use lw_core::Result;

use crate::Metric;

/// √(mean of squared errors), in the unit of the labels.
pub fn root_mean_squared_error(labels: &[f64], predictions: &[f64]) -> f64 {
    (squared_errors(labels, predictions) / labels.len() as f64).sqrt()
}

/// Mean of absolute errors, in the unit of the labels.
pub fn mean_absolute_error(labels: &[f64], predictions: &[f64]) -> f64 {
    labels.iter().zip(predictions).map(|(label, p)| (p - label).abs()).sum::<f64>() / labels.len() as f64
}

/// 1 − Σ(y − ŷ)² / Σ(y − ȳ)², with the mean of these labels.
///
/// # Errors
/// `undefined-metric` if all labels are equal, where scikit-learn gives 0 or 1.
pub fn r_squared(labels: &[f64], predictions: &[f64]) -> Result<f64> {
    let mean = labels.iter().sum::<f64>() / labels.len() as f64;
    let total: f64 = labels.iter().map(|label| (label - mean) * (label - mean)).sum();
    if total == 0.0 {
        return Err(Metric::R2.undefined("all labels are equal"));
    }
    Ok(1.0 - squared_errors(labels, predictions) / total)
}

fn squared_errors(labels: &[f64], predictions: &[f64]) -> f64 {
    labels.iter().zip(predictions).map(|(label, p)| (p - label) * (p - label)).sum()
}
