//! Confidence intervals of metrics: Wilson for shares, DeLong for the AUC, the bootstrap for everything else.

use lw_core::Result;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::bootstrap::{BootstrapOptions, bootstrap_intervals};
use crate::{AucEstimate, Confusion, Metric, ranking};

/// Two-sided bounds that hold the true value in a share `level` of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    pub level: f64,
}

impl Interval {
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The score interval of a share `n_successes / n_trials` (Wilson, 1927), without continuity correction.
/// No trials know nothing: the interval is all of 0 to 1.
pub fn wilson(n_successes: u64, n_trials: u64, level: f64) -> Interval {
    if n_trials == 0 {
        return Interval { low: 0.0, high: 1.0, level };
    }
    let (n, z) = (n_trials as f64, normal_quantile(level));
    let share = n_successes as f64 / n;
    let denominator = 1.0 + z * z / n;
    let center = (share + z * z / (2.0 * n)) / denominator;
    let half = z / denominator * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    // At the ends the exact bound is 0 or 1; the subtraction would miss it by a rounding error.
    let low = if n_successes == 0 { 0.0 } else { (center - half).max(0.0) };
    let high = if n_successes == n_trials { 1.0 } else { (center + half).min(1.0) };
    Interval { low, high, level }
}

/// The normal interval of an AUC with DeLong's variance, cut at 0 and 1.
/// None if a class has fewer than two rows.
pub fn delong(labels: &[f64], predictions: &[f64], level: f64) -> Result<(AucEstimate, Option<Interval>)> {
    let estimate = ranking::estimate(labels, predictions)?;
    if estimate.variance.is_nan() {
        return Ok((estimate, None));
    }
    let half = normal_quantile(level) * estimate.variance.sqrt();
    let interval = Interval { low: (estimate.auc - half).max(0.0), high: (estimate.auc + half).min(1.0), level };
    Ok((estimate, Some(interval)))
}

/// The intervals of metrics, each by the method that suits it, in the metrics' order; those that are resampled share their
/// resamples. None where a metric has no value or the rows are too few for an interval.
///
/// # Errors
/// `bad-metric-input` if the rows cannot be measured.
pub fn confidence_intervals(
    metrics: &[Metric],
    labels: &[f64],
    predictions: &[f64],
    options: &BootstrapOptions,
) -> Result<Vec<Option<Interval>>> {
    let resampled: Vec<Metric> = metrics.iter().copied().filter(|metric| !has_formula(*metric)).collect();
    let mut by_bootstrap = bootstrap_intervals(&resampled, labels, predictions, options)?.into_iter();
    let interval = |metric: &Metric| {
        if !has_formula(*metric) {
            return Ok(by_bootstrap.next().flatten());
        }
        metric.check_rows(labels, predictions)?;
        if *metric == Metric::Auc {
            return Ok(delong(labels, predictions, options.level).ok().and_then(|(_, interval)| interval));
        }
        let share = Confusion::count(labels, predictions, options.threshold).share(*metric);
        Ok(share.filter(|(_, n_trials)| *n_trials > 0).map(|(successes, n_trials)| wilson(successes, n_trials, options.level)))
    };
    metrics.iter().map(interval).collect()
}

fn has_formula(metric: Metric) -> bool {
    matches!(metric, Metric::Auc | Metric::Accuracy | Metric::Precision | Metric::Recall)
}

/// How many standard deviations on both sides of the mean hold a share `level` of a normal distribution.
pub(crate) fn normal_quantile(level: f64) -> f64 {
    Normal::standard().inverse_cdf(0.5 + level / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_at_the_ends_keep_their_end() {
        assert_eq!(wilson(0, 10, 0.95).low, 0.0);
        assert_eq!(wilson(10, 10, 0.95).high, 1.0);
        assert_eq!(wilson(0, 0, 0.95), Interval { low: 0.0, high: 1.0, level: 0.95 });
    }

    #[test]
    fn one_positive_row_has_an_auc_but_no_interval() {
        let (estimate, interval) = delong(&[1.0, 0.0, 0.0], &[0.5, 0.1, 0.9], 0.95).unwrap();
        assert_eq!((estimate.auc, interval), (0.5, None));
    }
}
