//! Every failure that governance returns.

use lw_core::{Failure, Kind};

pub const ACTOR_DISABLED: Failure = Failure::new("actor-disabled", Kind::Conflict);
pub const ACTOR_NOT_FOUND: Failure = Failure::new("actor-not-found", Kind::NotFound);
pub const BAD_ACTOR: Failure = Failure::new("bad-actor", Kind::Invalid);
pub const BAD_TOKEN: Failure = Failure::new("bad-token", Kind::Unauthenticated);
pub const NOTHING_TO_EXPLAIN: Failure = Failure::new("nothing-to-explain", Kind::NotFound);
pub const TOKEN_FILE: Failure = Failure::new("token-file", Kind::Unavailable);
pub const TOKEN_NOT_FOUND: Failure = Failure::new("token-not-found", Kind::NotFound);
