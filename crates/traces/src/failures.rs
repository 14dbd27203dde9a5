//! Every failure that traces return. Each code has a page in `docs/errors/`.

use lw_core::{Failure, Kind};

/// An assessment that is neither feedback, nor an expectation, nor an issue, or changes its kind.
pub const BAD_ASSESSMENT: Failure = Failure::new("bad-assessment", Kind::Invalid);
pub const BAD_DATASET_RECORD: Failure = Failure::new("bad-dataset-record", Kind::Invalid);
pub const BAD_LABEL_SCHEMA: Failure = Failure::new("bad-label-schema", Kind::Invalid);
pub const BAD_SCORER: Failure = Failure::new("bad-scorer", Kind::Invalid);
/// A trace or span that cannot be kept as it is.
pub const BAD_TRACE: Failure = Failure::new("bad-trace", Kind::Invalid);
pub const ASSESSMENT_NOT_FOUND: Failure = Failure::new("assessment-not-found", Kind::NotFound);
pub const EVALUATION_DATASET_NOT_FOUND: Failure = Failure::new("evaluation-dataset-not-found", Kind::NotFound);
pub const LABEL_SCHEMA_EXISTS: Failure = Failure::new("label-schema-exists", Kind::Conflict);
pub const LABEL_SCHEMA_NOT_FOUND: Failure = Failure::new("label-schema-not-found", Kind::NotFound);
pub const SCORER_NOT_FOUND: Failure = Failure::new("scorer-not-found", Kind::NotFound);
pub const TRACE_NOT_FOUND: Failure = Failure::new("trace-not-found", Kind::NotFound);
/// The trace is there, its spans are not, or not yet.
pub const TRACE_INCOMPLETE: Failure = Failure::new("trace-incomplete", Kind::NotFound);
pub const TRACE_TAG_NOT_FOUND: Failure = Failure::new("trace-tag-not-found", Kind::NotFound);
/// Spans come faster than the disk takes them.
pub const SPAN_LOG_FULL: Failure = Failure::new("span-log-full", Kind::Exhausted);
pub const SPAN_LOG_UNAVAILABLE: Failure = Failure::new("span-log-unavailable", Kind::Unavailable);
pub const SPAN_LOG_CORRUPT: Failure = Failure::new("span-log-corrupt", Kind::Unavailable);
