//! Every failure that this crate adds to those of the engine. Each code has a page in `docs/errors/`.

use lw_core::{Failure, Kind};

/// The query was stopped at its deadline.
pub const QUERY_TIMEOUT: Failure = Failure::new("query-timeout", Kind::Timeout);
/// Somebody cancelled the query, or the server came to its end.
pub const QUERY_CANCELLED: Failure = Failure::new("query-cancelled", Kind::Conflict);
/// As many queries run as may run at one time.
pub const TOO_MANY_QUERIES: Failure = Failure::new("too-many-queries", Kind::Exhausted);
