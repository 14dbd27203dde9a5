//! Pure mathematics on slices: metrics, intervals, comparisons, drift and its thresholds. No I/O, no clock, and every random
//! draw comes from a seed that the caller hands in, so that equal inputs give equal outputs to the last bit.
//!
//! Labels of a classifier are 0.0 and 1.0, predictions are the probabilities of 1; a regression has any finite numbers in both.
//!
//! ```
//! use lw_stats::Metric;
//!
//! let labels = [0.0, 0.0, 1.0, 1.0];
//! let predictions = [0.1, 0.4, 0.35, 0.8];
//! assert_eq!(Metric::Auc.compute(&labels, &predictions)?, 0.75);
//! # Ok::<(), lw_core::Error>(())
//! ```

mod bootstrap;
mod calibration;
mod classification;
mod contingency;
mod drift;
mod failures;
mod histogram;
mod interval;
mod metric;
mod moments;
mod ranking;
mod regression;
mod resample;

pub use bootstrap::{BootstrapOptions, PairedDifference, bootstrap_intervals, paired_bootstrap};
pub use calibration::{CalibrationBin, N_CALIBRATION_BINS, calibration_curve};
pub use classification::{Confusion, average_precision, brier, calibration_error, log_loss};
pub use contingency::{ChiSquare, benjamini_hochberg_cutoff, two_sample_chi_square};
pub use drift::{Drift, DriftMethod, FALSE_ALARM_RATE, jensen_shannon, kolmogorov_smirnov, population_stability};
pub use failures::{EMPTY_REFERENCE, HISTOGRAM_MISMATCH, METRIC_INPUT, UNDEFINED_METRIC, UNKNOWN_METRIC};
pub use histogram::{Bins, Counts, ReferenceHistogram};
pub use interval::{Interval, confidence_intervals, delong, wilson};
pub use metric::{Direction, Metric, Task};
pub use moments::{Moments, quantile, quantile_of_sorted};
pub use ranking::{AucEstimate, auc};
pub use regression::{mean_absolute_error, r_squared, root_mean_squared_error};
