//! Metrics of weighted rows: what depends on a row alone is computed once, so that each bootstrap resample is one pass
//! over its row counts and never sorts.

use lw_core::Result;

use crate::classification::{BinSums, N_BINS, calibration_bin, calibration_error_of, log_loss_of_row};
use crate::failures::METRIC_INPUT;
use crate::ranking::sort_key;
use crate::{Confusion, Metric};

/// A metric made ready to be computed under many row weights.
pub(crate) enum Prepared {
    /// The mean of one value a row, or its square root.
    Mean { values: Vec<f64>, is_root: bool },
    /// The cell of the confusion matrix of each row.
    Cells { metric: Metric, cells: Vec<u8> },
    /// Rows by ascending score.
    Ranked { metric: Metric, rows: Vec<RankedRow> },
    /// The calibration bin of each row, and outcome minus probability.
    Calibration { bins: Vec<u8>, gaps: Vec<f64> },
    /// Labels and squared errors.
    Explained { labels: Vec<f64>, squared_errors: Vec<f64> },
}

/// A row's position, whether it is positive, and whether its score is above that of the row before it.
#[derive(Clone, Copy)]
pub(crate) struct RankedRow(u32);

const MAX_ROWS: usize = 1 << 30;

impl RankedRow {
    fn new(row_index: u32, is_positive: bool, is_new_score: bool) -> Self {
        Self(row_index << 2 | u32::from(is_positive) << 1 | u32::from(is_new_score))
    }

    fn row_index(self) -> usize {
        (self.0 >> 2) as usize
    }

    fn is_positive(self) -> bool {
        self.0 & 2 != 0
    }

    fn is_new_score(self) -> bool {
        self.0 & 1 != 0
    }
}

impl Prepared {
    pub fn new(metric: Metric, threshold: f64, labels: &[f64], predictions: &[f64]) -> Result<Self> {
        metric.check_rows(labels, predictions)?;
        if labels.len() > MAX_ROWS {
            let message = format!("{} rows are more than the {MAX_ROWS} that can be resampled", labels.len());
            return Err(METRIC_INPUT.error(message).hint("measure over a sample of the rows"));
        }
        let rows = || labels.iter().copied().zip(predictions.iter().copied());
        let mean =
            |value: fn(f64, f64) -> f64, is_root| Self::Mean { values: rows().map(|(y, p)| value(y, p)).collect(), is_root };
        Ok(match metric {
            Metric::LogLoss => mean(log_loss_of_row, false),
            Metric::Brier => mean(squared_error, false),
            Metric::Rmse => mean(squared_error, true),
            Metric::Mae => mean(|label, p| (p - label).abs(), false),
            Metric::R2 => {
                Self::Explained { labels: labels.to_vec(), squared_errors: rows().map(|(y, p)| squared_error(y, p)).collect() }
            }
            Metric::Ece => Self::Calibration {
                bins: predictions.iter().map(|p| calibration_bin(*p) as u8).collect(),
                gaps: rows().map(|(label, p)| label - p).collect(),
            },
            Metric::Accuracy | Metric::Precision | Metric::Recall | Metric::F1 => {
                Self::Cells { metric, cells: rows().map(|(y, p)| Confusion::cell(y, p, threshold)).collect() }
            }
            Metric::Auc | Metric::AveragePrecision => Self::Ranked { metric, rows: rank(labels, predictions) },
        })
    }

    /// The metric if each row stood there `weights[row]` times; none where it has no value.
    pub fn value(&self, weights: &[u32]) -> Option<f64> {
        match self {
            Self::Mean { values, is_root } => {
                let mean = weighted_sum(values, weights) / weights.len() as f64;
                Some(if *is_root { mean.sqrt() } else { mean })
            }
            Self::Cells { metric, cells } => {
                let mut counts = [0_u64; 4];
                for (cell, weight) in cells.iter().zip(weights) {
                    counts[usize::from(cell & 3)] += u64::from(*weight);
                }
                Confusion::from_cells(counts).value(*metric)
            }
            Self::Ranked { metric: Metric::Auc, rows } => weighted_auc(rows, weights),
            Self::Ranked { rows, .. } => weighted_average_precision(rows, weights),
            Self::Calibration { bins, gaps } => {
                let mut sums = [BinSums::default(); N_BINS];
                for ((bin, gap), weight) in bins.iter().zip(gaps).zip(weights) {
                    let sum = &mut sums[usize::from(*bin)];
                    sum.outcomes += gap * f64::from(*weight);
                    sum.n_rows += f64::from(*weight);
                }
                Some(calibration_error_of(&sums))
            }
            Self::Explained { labels, squared_errors } => {
                let mean = weighted_sum(labels, weights) / weights.len() as f64;
                let deviations = labels.iter().zip(weights).map(|(y, w)| (y - mean) * (y - mean) * f64::from(*w));
                let total: f64 = deviations.sum();
                (total > 0.0).then(|| 1.0 - weighted_sum(squared_errors, weights) / total)
            }
        }
    }
}

fn squared_error(label: f64, prediction: f64) -> f64 {
    (prediction - label) * (prediction - label)
}

fn weighted_sum(values: &[f64], weights: &[u32]) -> f64 {
    values.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum()
}

fn rank(labels: &[f64], predictions: &[f64]) -> Vec<RankedRow> {
    let mut keys: Vec<(u64, u32)> = (0_u32..).zip(predictions).map(|(row_index, score)| (sort_key(*score), row_index)).collect();
    keys.sort_unstable();
    let mut previous = None;
    keys.into_iter()
        .map(|(key, row_index)| {
            let is_new_score = previous.replace(key) != Some(key);
            RankedRow::new(row_index, labels[row_index as usize] == 1.0, is_new_score)
        })
        .collect()
}

fn weighted_auc(rows: &[RankedRow], weights: &[u32]) -> Option<f64> {
    let (mut doubled_wins, mut positives, mut negatives) = (0_u128, 0_u64, 0_u64);
    // Counts within the score at hand.
    let (mut tied_positives, mut tied_negatives) = (0_u64, 0_u64);
    for row in rows {
        if row.is_new_score() {
            doubled_wins += u128::from(tied_positives) * u128::from(2 * negatives + tied_negatives);
            positives += tied_positives;
            negatives += tied_negatives;
            (tied_positives, tied_negatives) = (0, 0);
        }
        let weight = u64::from(weights[row.row_index()]);
        if row.is_positive() { tied_positives += weight } else { tied_negatives += weight }
    }
    doubled_wins += u128::from(tied_positives) * u128::from(2 * negatives + tied_negatives);
    positives += tied_positives;
    negatives += tied_negatives;
    (positives > 0 && negatives > 0).then(|| doubled_wins as f64 / (2.0 * positives as f64 * negatives as f64))
}

fn weighted_average_precision(rows: &[RankedRow], weights: &[u32]) -> Option<f64> {
    let (mut total, mut positives, mut called, mut tied_positives) = (0.0, 0_u64, 0_u64, 0_u64);
    for row in rows.iter().rev() {
        let weight = u64::from(weights[row.row_index()]);
        called += weight;
        tied_positives += if row.is_positive() { weight } else { 0 };
        // Walking down, the first row of a score closes its group.
        if row.is_new_score() && called > 0 {
            positives += tied_positives;
            total += tied_positives as f64 * (positives as f64 / called as f64);
            tied_positives = 0;
        }
    }
    (positives > 0).then(|| total / positives as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn weights_are_repeated_rows(rows in prop::collection::vec((any::<bool>(), 0_u8..20, 0_u32..4), 1..60)) {
            let labels: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(row.0))).collect();
            let predictions: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 20.0).collect();
            // A resample has as many rows as the original: the last row takes what is missing.
            let n_rows = labels.len() as u32;
            let mut weights: Vec<u32> = Vec::new();
            for row in &rows {
                weights.push(row.2.min(n_rows - weights.iter().sum::<u32>()));
            }
            *weights.last_mut().unwrap() += n_rows - weights.iter().sum::<u32>();
            let repeat = |values: &[f64]| -> Vec<f64> {
                values.iter().zip(&weights).flat_map(|(value, n)| std::iter::repeat_n(*value, *n as usize)).collect()
            };
            for metric in Metric::ALL {
                let prepared = Prepared::new(*metric, 0.5, &labels, &predictions).unwrap();
                let want = metric.compute(&repeat(&labels), &repeat(&predictions)).ok();
                let got = prepared.value(&weights);
                prop_assert_eq!(got.is_some(), want.is_some(), "{}", metric);
                if let (Some(got), Some(want)) = (got, want) {
                    prop_assert!((got - want).abs() < 1e-9, "{}: {} {}", metric, got, want);
                }
            }
        }
    }
}
