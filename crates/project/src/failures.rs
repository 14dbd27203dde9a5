//! Every failure of this crate, by code.

use lw_core::{Failure, Kind};

pub const FILE_UNREADABLE: Failure = Failure::new("file-unreadable", Kind::Invalid);
pub const INVALID_YAML: Failure = Failure::new("invalid-yaml", Kind::Invalid);
pub const NO_PROJECT: Failure = Failure::new("no-project", Kind::NotFound);
pub const DUPLICATE_NAME: Failure = Failure::new("duplicate-name", Kind::Invalid);
pub const WRONG_FILE_NAME: Failure = Failure::new("wrong-file-name", Kind::Invalid);
pub const UNKNOWN_REFERENCE: Failure = Failure::new("unknown-reference", Kind::Invalid);
pub const INVALID_MODEL: Failure = Failure::new("invalid-model", Kind::Invalid);
pub const CHECK_FAILED: Failure = Failure::new("check-failed", Kind::Invalid);
pub const NOT_APPLIED: Failure = Failure::new("not-applied", Kind::Conflict);
/// The project lacks a model whose endpoint still answers.
pub const MODEL_SERVES: Failure = Failure::new("model-serves", Kind::Conflict);
/// A run is given a parameter that its pipeline does not declare, or not given one that it needs.
pub const INVALID_PARAMETER: Failure = Failure::new("invalid-parameter", Kind::Invalid);
pub const UNKNOWN_MODEL: Failure = Failure::new("unknown-model", Kind::NotFound);
pub const NO_EXAMPLES: Failure = Failure::new("no-examples", Kind::Invalid);
pub const NOT_REPRODUCED: Failure = Failure::new("not-reproduced", Kind::Refused);
/// The workspace was made with another metadata database or artifact store than the one that is named now.
pub const WORKSPACE_ELSEWHERE: Failure = Failure::new("workspace-elsewhere", Kind::Conflict);
pub const REPLAY_STARTED: Failure = Failure::new("replay-needs-empty-workspace", Kind::Conflict);
pub const COMMAND_FAILED: Failure = Failure::new("command-failed", Kind::Upstream);
pub const NOTHING_TO_COMPARE: Failure = Failure::new("nothing-to-compare", Kind::NotFound);
/// A newer version went live while this one waited.
pub const VERSION_SUPERSEDED: Failure = Failure::new("version-superseded", Kind::Refused);
pub const NOTHING_WAITS: Failure = Failure::new("nothing-waits", Kind::Conflict);
