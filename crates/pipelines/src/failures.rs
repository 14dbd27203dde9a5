//! Every failure that this crate reports.

use lw_core::{Failure, Kind};

/// A definition has a step twice, needs an unknown step, or needs itself.
pub const BAD_PIPELINE: Failure = Failure::new("bad-pipeline", Kind::Invalid);
/// A cron expression or a time zone cannot be read.
pub const BAD_SCHEDULE: Failure = Failure::new("bad-schedule", Kind::Invalid);
pub const UNKNOWN_PIPELINE: Failure = Failure::new("unknown-pipeline", Kind::NotFound);
pub const UNKNOWN_PIPELINE_RUN: Failure = Failure::new("unknown-pipeline-run", Kind::NotFound);
pub const UNKNOWN_STEP: Failure = Failure::new("unknown-step", Kind::NotFound);
/// Another worker has the step, or the step is over.
pub const LEASE_LOST: Failure = Failure::new("lease-lost", Kind::Conflict);
/// The run is not in a state in which this can be asked of it.
pub const RUN_STATE: Failure = Failure::new("pipeline-run-state", Kind::Conflict);
/// The deadline of a wait passed before the run finished.
pub const RUN_UNFINISHED: Failure = Failure::new("pipeline-run-unfinished", Kind::Timeout);
pub const STEP_TIMED_OUT: Failure = Failure::new("step-timed-out", Kind::Timeout);
pub const STEP_PANICKED: Failure = Failure::new("step-panicked", Kind::Bug);
/// The process that ran the step died again and again.
pub const STEP_LOST: Failure = Failure::new("step-lost", Kind::Unavailable);
pub const STEP_CANCELLED: Failure = Failure::new("step-cancelled", Kind::Conflict);
