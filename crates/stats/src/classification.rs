//! Metrics of probabilities against outcomes. The callers have checked the rows: labels are 0 or 1.

use lw_core::Result;

use crate::Metric;
use crate::ranking::RankedScores;

/// Mean negative log likelihood. Probabilities are kept 2.2e-16 away from 0 and 1, as scikit-learn does for 64-bit floats.
///
/// Both slices have one value a row; the result is in nats.
pub fn log_loss(labels: &[f64], predictions: &[f64]) -> f64 {
    let total: f64 = labels.iter().zip(predictions).map(|(label, p)| log_loss_of_row(*label, *p)).sum();
    total / labels.len() as f64
}

pub(crate) fn log_loss_of_row(label: f64, prediction: f64) -> f64 {
    let p = prediction.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    -(if label == 1.0 { p } else { 1.0 - p }).ln()
}

/// Mean squared distance of the probability from the outcome (Brier, 1950).
pub fn brier(labels: &[f64], predictions: &[f64]) -> f64 {
    let total: f64 = labels.iter().zip(predictions).map(|(label, p)| (p - label) * (p - label)).sum();
    total / labels.len() as f64
}

/// Average precision: Σ (Rᵢ − Rᵢ₋₁)·Pᵢ over distinct scores, without interpolation.
///
/// # Errors
/// `undefined-metric` without a positive row.
pub fn average_precision(labels: &[f64], predictions: &[f64]) -> Result<f64> {
    let ranked = RankedScores::sort(labels, predictions);
    let (n_positive, n_negative) = (ranked.n_positive(), ranked.n_negative());
    if n_positive == 0 {
        return Err(Metric::AveragePrecision.undefined("no row is positive"));
    }
    let (mut total, mut positives_below, mut negatives_below) = (0.0, 0, 0);
    for group in ranked.groups() {
        let true_positive = n_positive - positives_below;
        let predicted_positive = true_positive + n_negative - negatives_below;
        total += group.n_positive as f64 * (true_positive as f64 / predicted_positive as f64);
        positives_below += group.n_positive;
        negatives_below += group.n_negative;
    }
    Ok(total / n_positive as f64)
}

pub(crate) const N_BINS: usize = 10;

/// The bin of a probability among ten of equal width, closed on the right like scikit-learn's calibration curve.
pub(crate) fn calibration_bin(probability: f64) -> usize {
    let guess = ((probability * N_BINS as f64) as usize).min(N_BINS - 1);
    let lower_edge = guess as f64 * (1.0 / N_BINS as f64);
    if guess > 0 && probability <= lower_edge { guess - 1 } else { guess }
}

/// Sums over the rows of each calibration bin: count, probabilities, outcomes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BinSums {
    pub n_rows: f64,
    pub probabilities: f64,
    pub outcomes: f64,
}

pub(crate) fn calibration_sums(labels: &[f64], predictions: &[f64]) -> [BinSums; N_BINS] {
    let mut sums = [BinSums::default(); N_BINS];
    for (label, p) in labels.iter().zip(predictions) {
        let bin = &mut sums[calibration_bin(*p)];
        bin.n_rows += 1.0;
        bin.probabilities += p;
        bin.outcomes += label;
    }
    sums
}

pub(crate) fn calibration_error_of(sums: &[BinSums; N_BINS]) -> f64 {
    let n_rows: f64 = sums.iter().map(|bin| bin.n_rows).sum();
    sums.iter().map(|bin| (bin.outcomes - bin.probabilities).abs()).sum::<f64>() / n_rows
}

/// Expected calibration error: Σ nᵦ/N·|outcome rate − mean probability| over ten bins of equal width (Naeini et al., 2015).
pub fn calibration_error(labels: &[f64], predictions: &[f64]) -> f64 {
    calibration_error_of(&calibration_sums(labels, predictions))
}

/// Decisions against outcomes at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confusion {
    pub true_positive: u64,
    pub false_positive: u64,
    pub true_negative: u64,
    pub false_negative: u64,
}

impl Confusion {
    pub fn count(labels: &[f64], predictions: &[f64], threshold: f64) -> Self {
        let mut cells = [0_u64; 4];
        for (label, p) in labels.iter().zip(predictions) {
            cells[usize::from(Self::cell(*label, *p, threshold))] += 1;
        }
        Self::from_cells(cells)
    }

    /// The cell of a row: bit 0 says it is positive, bit 1 that it was called positive.
    pub(crate) fn cell(label: f64, prediction: f64, threshold: f64) -> u8 {
        u8::from(label == 1.0) | u8::from(prediction >= threshold) << 1
    }

    pub(crate) fn from_cells([true_negative, false_negative, false_positive, true_positive]: [u64; 4]) -> Self {
        Self { true_positive, false_positive, true_negative, false_negative }
    }

    /// Successes and trials of a metric that is a share of rows; F1 is none.
    pub(crate) fn share(&self, metric: Metric) -> Option<(u64, u64)> {
        match metric {
            Metric::Accuracy => Some((self.true_positive + self.true_negative, self.n_rows())),
            Metric::Precision => Some((self.true_positive, self.true_positive + self.false_positive)),
            Metric::Recall => Some((self.true_positive, self.true_positive + self.false_negative)),
            _ => None,
        }
    }

    pub fn n_rows(&self) -> u64 {
        self.true_positive + self.false_positive + self.true_negative + self.false_negative
    }

    /// Accuracy, precision, recall or F1.
    ///
    /// # Errors
    /// `undefined-metric` where the denominator is zero, where scikit-learn warns and gives 0.
    pub fn metric(&self, metric: Metric) -> Result<f64> {
        self.value(metric).ok_or_else(|| {
            metric.undefined(match metric {
                Metric::Precision => "no row was called positive at this threshold",
                Metric::Recall => "no row is positive",
                _ => "no row is positive or was called positive",
            })
        })
    }

    pub(crate) fn value(&self, metric: Metric) -> Option<f64> {
        let (numerator, denominator) = self
            .share(metric)
            .unwrap_or_else(|| (2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative));
        (denominator > 0).then(|| numerator as f64 / denominator as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_bins_are_closed_on_the_right() {
        for (probability, bin) in [(0.0, 0), (0.1, 0), (0.1 + 1e-12, 1), (0.2, 1), (0.3, 2), (0.7, 6), (0.95, 9), (1.0, 9)] {
            assert_eq!(calibration_bin(probability), bin, "{probability}");
        }
    }
}
