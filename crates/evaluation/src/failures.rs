//! Every failure of this crate. Each code has a page in docs/errors/.

use lw_core::{Failure, Kind};

/// An `evaluate` part that asks for nothing or for the impossible.
pub const BAD_EVALUATION: Failure = Failure::new("bad-evaluation", Kind::Invalid);
/// A metric of probabilities for a regression, or the other way round.
pub const METRIC_OF_ANOTHER_TASK: Failure = Failure::new("metric-of-another-task", Kind::Invalid);
/// Labels, predictions and segments that do not describe the same rows.
pub const EVALUATION_ROWS_DIFFER: Failure = Failure::new("evaluation-rows-differ", Kind::Invalid);
/// A column whose values have no text form to segment by.
pub const BAD_SEGMENT_COLUMN: Failure = Failure::new("bad-segment-column", Kind::Invalid);
