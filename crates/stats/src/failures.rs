//! Every failure of this crate. Each code has a page in docs/errors/.

use lw_core::{Failure, Kind};

/// A metric's name that does not exist.
pub const UNKNOWN_METRIC: Failure = Failure::new("unknown-metric", Kind::Invalid);
/// Labels or predictions that no metric can be computed from: lengths differ, not finite, not 0 or 1, not a probability.
pub const METRIC_INPUT: Failure = Failure::new("bad-metric-input", Kind::Invalid);
/// Good rows on which this metric has no value, such as AUC with one class only.
pub const UNDEFINED_METRIC: Failure = Failure::new("undefined-metric", Kind::Invalid);
/// Reference data without a single row.
pub const EMPTY_REFERENCE: Failure = Failure::new("empty-reference", Kind::Invalid);
/// Counts of one histogram used with another.
pub const HISTOGRAM_MISMATCH: Failure = Failure::new("histogram-mismatch", Kind::Invalid);
