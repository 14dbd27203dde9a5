//! Predicted probabilities against observed rates.

use serde::{Deserialize, Serialize};

use crate::classification::{N_BINS, calibration_sums};

pub const N_CALIBRATION_BINS: usize = N_BINS;

/// The rows whose probability lies in one tenth of 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    pub lower: f64,
    pub upper: f64,
    pub n_rows: u64,
    /// Mean predicted probability of these rows.
    pub mean_prediction: f64,
    /// Share of these rows that turned out positive.
    pub outcome_rate: f64,
}

/// The bins that hold rows, ascending; closed on the right. Labels are 0 or 1, predictions probabilities.
pub fn calibration_curve(labels: &[f64], predictions: &[f64]) -> Vec<CalibrationBin> {
    let sums = calibration_sums(labels, predictions).into_iter().enumerate();
    sums.filter(|(_, bin)| bin.n_rows > 0.0)
        .map(|(bin_index, bin)| CalibrationBin {
            lower: bin_index as f64 / N_BINS as f64,
            upper: (bin_index + 1) as f64 / N_BINS as f64,
            n_rows: bin.n_rows as u64,
            mean_prediction: bin.probabilities / bin.n_rows,
            outcome_rate: bin.outcomes / bin.n_rows,
        })
        .collect()
}
