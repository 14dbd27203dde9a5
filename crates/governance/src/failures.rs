//! Every failure that governance returns.

use lw_core::{Failure, Kind};

pub const ACTOR_DISABLED: Failure = Failure::new("actor-disabled", Kind::Conflict);
pub const ACTOR_EXISTS: Failure = Failure::new("actor-exists", Kind::Conflict);
pub const ACTOR_NOT_FOUND: Failure = Failure::new("actor-not-found", Kind::NotFound);
pub const BAD_ACTOR: Failure = Failure::new("bad-actor", Kind::Invalid);
pub const BAD_EXPIRY: Failure = Failure::new("bad-expiry", Kind::Invalid);
pub const BAD_LABEL: Failure = Failure::new("bad-label", Kind::Invalid);
pub const BAD_ROLE: Failure = Failure::new("bad-role", Kind::Invalid);
pub const BAD_TOKEN: Failure = Failure::new("bad-token", Kind::Unauthenticated);
pub const NOTHING_TO_EXPLAIN: Failure = Failure::new("nothing-to-explain", Kind::NotFound);
pub const OWN_ACCESS: Failure = Failure::new("own-access", Kind::Forbidden);
pub const ROLE_MISSING: Failure = Failure::new("role-missing", Kind::Forbidden);
pub const TOKEN_FILE: Failure = Failure::new("token-file", Kind::Unavailable);
pub const TOKEN_NOT_FOUND: Failure = Failure::new("token-not-found", Kind::NotFound);
pub const UNKNOWN_SUBJECT: Failure = Failure::new("unknown-subject", Kind::NotFound);
pub const WORKSPACE_TOKEN: Failure = Failure::new("workspace-token", Kind::Conflict);
