//! Intervals and comparisons by resampling rows with replacement (Efron, 1979). All metrics and both models of a comparison
//! see the same resamples, and a seed fixes every draw.

use lw_core::Result;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use crate::moments::quantile_of_sorted;
use crate::resample::Prepared;
use crate::{Interval, Metric};

#[derive(Debug, Clone, Copy)]
pub struct BootstrapOptions {
    pub n_resamples: u32,
    /// The share of samples whose interval holds the true value, such as 0.95.
    pub level: f64,
    /// Where a probability becomes a decision.
    pub threshold: f64,
    pub seed: u64,
}

const MOST_RESAMPLES: u32 = 1_000;
const FEWEST_RESAMPLES: u32 = 200;
/// Draws that a comparison may cost before the number of resamples shrinks.
const N_DRAWS: usize = 100_000_000;

impl BootstrapOptions {
    /// A number of resamples that suits the number of rows: 1,000, and fewer (down to 200) above 100,000 rows.
    pub fn for_rows(n_rows: usize, level: f64, threshold: f64, seed: u64) -> Self {
        let affordable = u32::try_from(N_DRAWS / n_rows.max(1)).unwrap_or(u32::MAX);
        Self { n_resamples: affordable.clamp(FEWEST_RESAMPLES, MOST_RESAMPLES), level, threshold, seed }
    }
}

/// A candidate against a reference on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    pub candidate: f64,
    pub reference: f64,
    /// `candidate - reference`, in the metric's unit.
    pub difference: f64,
    /// Of the difference; none if too few resamples had a value.
    pub interval: Option<Interval>,
    /// Two-sided: how easily rows of two equally good models show such a difference.
    pub p_value: Option<f64>,
    pub n_resamples: u32,
}

/// Percentile intervals of several metrics over the same resamples, in the metrics' order; none where more than a tenth of
/// the resamples have no value.
///
/// # Errors
/// Those of [`Metric::compute_at`] for the rows; a metric without a value has no interval and is no error.
pub fn bootstrap_intervals(
    metrics: &[Metric],
    labels: &[f64],
    predictions: &[f64],
    options: &BootstrapOptions,
) -> Result<Vec<Option<Interval>>> {
    let prepared = metrics.iter().map(|metric| Prepared::new(*metric, options.threshold, labels, predictions));
    let prepared = prepared.collect::<Result<Vec<_>>>()?;
    let samples = resample(labels.len(), prepared.len(), options, |metric_index, weights| prepared[metric_index].value(weights));
    Ok(samples.into_iter().map(|values| percentile_interval(values, options)).collect())
}

/// Compares two models' predictions for the same labels, metric by metric, over the same resamples.
///
/// The result of a metric is an error where it has no value for one of the two.
///
/// # Errors
/// `bad-metric-input` if the rows of the three slices do not fit together.
pub fn paired_bootstrap(
    metrics: &[Metric],
    labels: &[f64],
    candidate: &[f64],
    reference: &[f64],
    options: &BootstrapOptions,
) -> Result<Vec<Result<PairedDifference>>> {
    let prepare = |metric: &Metric| {
        let of = |predictions| Prepared::new(*metric, options.threshold, labels, predictions);
        Ok((of(candidate)?, of(reference)?))
    };
    let prepared = metrics.iter().map(prepare).collect::<Result<Vec<_>>>()?;
    let samples = resample(labels.len(), prepared.len(), options, |metric_index, weights| {
        let (candidate, reference) = &prepared[metric_index];
        Some(candidate.value(weights)? - reference.value(weights)?)
    });
    let compare = |(metric, differences): (&Metric, Vec<f64>)| {
        let of_candidate = metric.compute_at(options.threshold, labels, candidate)?;
        let of_reference = metric.compute_at(options.threshold, labels, reference)?;
        Ok(PairedDifference {
            candidate: of_candidate,
            reference: of_reference,
            difference: of_candidate - of_reference,
            p_value: has_enough(&differences, options).then(|| two_sided_p_value(&differences)),
            interval: percentile_interval(differences, options),
            n_resamples: options.n_resamples,
        })
    };
    Ok(metrics.iter().zip(samples).map(compare).collect())
}

/// Draws the resamples and gives, for each statistic, its values over those where it has one.
fn resample(
    n_rows: usize,
    n_statistics: usize,
    options: &BootstrapOptions,
    statistic: impl Fn(usize, &[u32]) -> Option<f64>,
) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::with_capacity(options.n_resamples as usize); n_statistics];
    if n_statistics == 0 || n_rows == 0 {
        return samples;
    }
    let mut rng = Pcg64Mcg::seed_from_u64(options.seed);
    let mut weights = vec![0_u32; n_rows];
    for _ in 0..options.n_resamples {
        draw(&mut rng, &mut weights);
        for (statistic_index, values) in samples.iter_mut().enumerate() {
            values.extend(statistic(statistic_index, &weights));
        }
    }
    samples
}

/// Counts of `weights.len()` draws with replacement. One 64-bit number gives two draws by multiplication (Lemire, 2019); the
/// bias is below one in four thousand even for a million rows.
fn draw(rng: &mut Pcg64Mcg, weights: &mut [u32]) {
    weights.fill(0);
    let n_rows = weights.len() as u64;
    let mut left = weights.len();
    while left > 0 {
        let bits = rng.next_u64();
        for half in [bits >> 32, bits & 0xFFFF_FFFF].into_iter().take(left) {
            weights[((half * n_rows) >> 32) as usize] += 1;
        }
        left = left.saturating_sub(2);
    }
}

fn has_enough(values: &[f64], options: &BootstrapOptions) -> bool {
    !values.is_empty() && values.len() as f64 >= 0.9 * f64::from(options.n_resamples)
}

fn percentile_interval(mut values: Vec<f64>, options: &BootstrapOptions) -> Option<Interval> {
    if !has_enough(&values, options) {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - options.level) / 2.0;
    let at = |share| quantile_of_sorted(&values, share);
    Some(Interval { low: at(tail), high: at(1.0 - tail), level: options.level })
}

/// Twice the smaller share of resamples on one side of zero, with one added above and below so that it is never zero.
fn two_sided_p_value(differences: &[f64]) -> f64 {
    let n_low = differences.iter().filter(|difference| **difference <= 0.0).count();
    let n_high = differences.iter().filter(|difference| **difference >= 0.0).count();
    (2.0 * (n_low.min(n_high) + 1) as f64 / (differences.len() + 1) as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: BootstrapOptions = BootstrapOptions { n_resamples: 400, level: 0.95, threshold: 0.5, seed: 7 };

    /// Rows whose outcome follows the probability, and a model that knows it up to some noise.
    fn rows(n_rows: usize, noise: f64, seed: u64) -> (Vec<f64>, Vec<f64>) {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let mut unit = move || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let truth: Vec<f64> = (0..n_rows).map(|_| unit()).collect();
        let labels = truth.iter().map(|p| f64::from(u8::from(unit() < *p))).collect();
        (labels, truth.iter().map(|p| (p + noise * (unit() - 0.5)).clamp(0.01, 0.99)).collect())
    }

    #[test]
    fn a_seed_fixes_the_interval() {
        let (labels, predictions) = rows(500, 0.2, 1);
        let with = |seed| {
            let options = BootstrapOptions { seed, ..OPTIONS };
            bootstrap_intervals(&[Metric::LogLoss, Metric::F1], &labels, &predictions, &options).unwrap()
        };
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
        let value = Metric::LogLoss.compute(&labels, &predictions).unwrap();
        assert!(with(1)[0].unwrap().contains(value));
    }

    #[test]
    fn a_better_model_is_found_and_an_equal_one_is_not() {
        let (labels, good) = rows(3_000, 0.1, 2);
        let bad: Vec<f64> = good.iter().map(|p| 0.5 + (p - 0.5) * 0.2).collect();
        let compare = |other: &[f64]| paired_bootstrap(&[Metric::LogLoss], &labels, &good, other, &OPTIONS).unwrap().remove(0);
        let better = compare(&bad).unwrap();
        assert!(better.difference < 0.0 && better.p_value.unwrap() < 0.01 && better.interval.unwrap().high < 0.0);
        let same = compare(&good).unwrap();
        assert_eq!((same.difference, same.p_value), (0.0, Some(1.0)));
    }

    #[test]
    fn intervals_hold_the_true_value_as_often_as_they_say() {
        let n_trials: u64 = 200;
        let (labels, predictions) = rows(200_000, 0.3, 3);
        let truth = Metric::Brier.compute(&labels, &predictions).unwrap();
        let n_held = (0..n_trials).filter(|trial| {
            let (labels, predictions) = rows(300, 0.3, 100 + trial);
            bootstrap_intervals(&[Metric::Brier], &labels, &predictions, &OPTIONS).unwrap()[0].unwrap().contains(truth)
        });
        let share = n_held.count() as f64 / n_trials as f64;
        assert!((0.90..=0.99).contains(&share), "{share}");
    }

    #[test]
    fn a_metric_that_is_mostly_undefined_has_no_interval() {
        let labels = [0.0, 0.0, 0.0, 1.0];
        let intervals = bootstrap_intervals(&[Metric::Recall, Metric::Brier], &labels, &[0.1, 0.2, 0.3, 0.9], &OPTIONS).unwrap();
        assert!(intervals[0].is_none() && intervals[1].is_some());
    }
}
