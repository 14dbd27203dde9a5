//! Every failure that the registry returns.

use lw_core::{Failure, Kind};

pub const ALIAS_NOT_FOUND: Failure = Failure::new("alias-not-found", Kind::NotFound);
pub const APPROVAL_FORBIDDEN: Failure = Failure::new("approval-forbidden", Kind::Forbidden);
pub const APPROVAL_REFUSED: Failure = Failure::new("approval-refused", Kind::Refused);
pub const APPROVALS_MISSING: Failure = Failure::new("approvals-missing", Kind::Refused);
pub const BAD_ALIAS: Failure = Failure::new("bad-alias", Kind::Invalid);
pub const BAD_GATE: Failure = Failure::new("bad-gate", Kind::Invalid);
pub const BAD_MODEL_TAG: Failure = Failure::new("bad-model-tag", Kind::Invalid);
pub const BAD_STAGE: Failure = Failure::new("bad-stage", Kind::Invalid);
pub const BAD_WEBHOOK: Failure = Failure::new("bad-webhook", Kind::Invalid);
pub const CHAMPION_CHANGED: Failure = Failure::new("champion-changed", Kind::Conflict);
pub const GATES_REFUSED: Failure = Failure::new("gates-refused", Kind::Refused);
pub const MODEL_EXISTS: Failure = Failure::new("model-exists", Kind::Conflict);
pub const MODEL_NOT_FOUND: Failure = Failure::new("model-not-found", Kind::NotFound);
pub const MODEL_PROTECTED: Failure = Failure::new("model-protected", Kind::Forbidden);
pub const MODEL_VERSION_NOT_FOUND: Failure = Failure::new("model-version-not-found", Kind::NotFound);
pub const NEVER_CHAMPION: Failure = Failure::new("never-champion", Kind::Refused);
pub const REASON_MISSING: Failure = Failure::new("reason-missing", Kind::Invalid);
pub const REPORT_CHANGED: Failure = Failure::new("report-changed", Kind::Conflict);
pub const REPORT_MISSING: Failure = Failure::new("report-missing", Kind::Refused);
pub const VERSION_TAKEN: Failure = Failure::new("version-taken", Kind::Conflict);
pub const WEBHOOK_NOT_FOUND: Failure = Failure::new("webhook-not-found", Kind::NotFound);
