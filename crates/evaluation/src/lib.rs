//! Reports: how good a model is, overall and by segment, how sure we are, and whether it beats the champion.
//!
//! A report is a pure function of a definition, the rows and a seed; the same inputs give the same digest. Nothing here
//! reads or writes anything.
//!
//! ```
//! use lw_evaluation::{EvaluateDefinition, EvaluationData, SegmentColumn, evaluate};
//! use lw_stats::{Metric, Task};
//!
//! let definition = EvaluateDefinition::new(vec![Metric::Auc, Metric::LogLoss]);
//! let data = EvaluationData::new(Task::BinaryClassification, &[0.0, 1.0, 0.0, 1.0], &[0.2, 0.7, 0.4, 0.3])
//!     .segment(SegmentColumn::from_texts("carrier", ["AA", "AA", "B6", "B6"].map(Some)));
//! let report = evaluate(&definition, &data, 7)?;
//! assert_eq!(report.metrics[&Metric::Auc].value, Some(0.75));
//! # Ok::<(), lw_core::Error>(())
//! ```

mod comparison;
mod data;
mod definition;
mod failures;
mod markdown;
mod measurement;
mod report;
mod segment;

pub use data::{EvaluationData, Rival, SegmentColumn};
pub use definition::EvaluateDefinition;
pub use failures::{BAD_EVALUATION, BAD_SEGMENT_COLUMN, EVALUATION_ROWS_DIFFER, METRIC_OF_ANOTHER_TASK};
pub use lw_stats::{CalibrationBin, Direction, Interval, Metric, Task};
pub use report::{Comparison, Difference, Measurement, Report, Segment, evaluate};
