//! Every failure that tracking returns.

use lw_core::{Failure, Kind};

pub const ARTIFACT_PATH_TAKEN: Failure = Failure::new("artifact-path-taken", Kind::Conflict);
pub const BAD_ARTIFACT_LOCATION: Failure = Failure::new("bad-artifact-location", Kind::Invalid);
pub const BAD_ARTIFACT_PATH: Failure = Failure::new("bad-artifact-path", Kind::Invalid);
pub const BAD_DATASET: Failure = Failure::new("bad-dataset", Kind::Invalid);
pub const BAD_EXPERIMENT_ID: Failure = Failure::new("bad-experiment-id", Kind::Invalid);
pub const BAD_EXPERIMENT_NAME: Failure = Failure::new("bad-experiment-name", Kind::Invalid);
pub const BAD_LOGGED_MODEL: Failure = Failure::new("bad-logged-model", Kind::Invalid);
pub const BAD_LOG_KEY: Failure = Failure::new("bad-log-key", Kind::Invalid);
pub const BAD_METRIC_TIME: Failure = Failure::new("bad-metric-time", Kind::Invalid);
pub const BATCH_TOO_LARGE: Failure = Failure::new("batch-too-large", Kind::Invalid);
pub const DUPLICATE_PARAM: Failure = Failure::new("duplicate-param", Kind::Invalid);
pub const EXPERIMENT_DELETED: Failure = Failure::new("experiment-deleted", Kind::Invalid);
pub const EXPERIMENT_EXISTS: Failure = Failure::new("experiment-exists", Kind::Conflict);
pub const EXPERIMENT_NOT_FOUND: Failure = Failure::new("experiment-not-found", Kind::NotFound);
pub const LOGGED_MODEL_NOT_FOUND: Failure = Failure::new("logged-model-not-found", Kind::NotFound);
pub const PARAM_CHANGED: Failure = Failure::new("param-changed", Kind::Invalid);
pub const RUN_DELETED: Failure = Failure::new("run-deleted", Kind::Invalid);
pub const RUN_NAME_MISMATCH: Failure = Failure::new("run-name-mismatch", Kind::Invalid);
pub const RUN_NOT_FOUND: Failure = Failure::new("run-not-found", Kind::NotFound);
pub const TAG_NOT_FOUND: Failure = Failure::new("tag-not-found", Kind::NotFound);
