//! Every failure of the HTTP surface itself. Each code has a page in `docs/errors/`.

use lw_core::{Failure, Kind};

pub const INVALID_BODY: Failure = Failure::new("invalid-body", Kind::Invalid);
pub const INVALID_QUERY: Failure = Failure::new("invalid-query", Kind::Invalid);
pub const BODY_TOO_LARGE: Failure = Failure::new("body-too-large", Kind::Invalid);
pub const UNKNOWN_ROUTE: Failure = Failure::new("unknown-route", Kind::NotFound);
pub const METHOD_NOT_ALLOWED: Failure = Failure::new("method-not-allowed", Kind::Invalid);
pub const TOKEN_MISSING: Failure = Failure::new("token-missing", Kind::Unauthenticated);
pub const FOREIGN_HOST: Failure = Failure::new("foreign-host", Kind::Forbidden);
pub const FOREIGN_ORIGIN: Failure = Failure::new("foreign-origin", Kind::Forbidden);
/// Somebody with a token of their own claims to be somebody else.
pub const FOREIGN_ACTOR: Failure = Failure::new("foreign-actor", Kind::Forbidden);
pub const EXPOSED_WITHOUT_AUTHENTICATION: Failure = Failure::new("exposed-without-authentication", Kind::Forbidden);
pub const REQUEST_TIMEOUT: Failure = Failure::new("request-timeout", Kind::Timeout);
pub const TRAINING_SET_NOT_FOUND: Failure = Failure::new("training-set-not-found", Kind::NotFound);
pub const MODEL_FILES_UNREADABLE: Failure = Failure::new("model-files-unreadable", Kind::Upstream);
pub const SERVE_FAILED: Failure = Failure::new("serve-failed", Kind::Unavailable);
