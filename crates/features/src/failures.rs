//! Every failure that feature views, training sets and the online store report.

use lw_core::{Failure, Kind};

/// A view's definition contradicts itself, before any SQL is looked at.
pub const BAD_FEATURE_VIEW: Failure = Failure::new("bad-feature-view", Kind::Invalid);
/// A view declares a column that its SQL does not produce.
pub const FEATURE_COLUMN_MISSING: Failure = Failure::new("feature-column-missing", Kind::Invalid);
/// A view declares a type that is not the type its SQL produces.
pub const FEATURE_TYPE_MISMATCH: Failure = Failure::new("feature-type-mismatch", Kind::Invalid);
/// The SQL of a view gives rows values of a later time than they claim for themselves.
pub const FEATURE_LOOKS_AHEAD: Failure = Failure::new("feature-looks-ahead", Kind::Invalid);
/// Views use each other in a circle.
pub const FEATURE_CYCLE: Failure = Failure::new("feature-cycle", Kind::Invalid);
/// No feature view, or no such version of it, is registered.
pub const UNKNOWN_FEATURE_VIEW: Failure = Failure::new("unknown-feature-view", Kind::NotFound);
/// A recipe of a training set contradicts itself or the tables it reads.
pub const BAD_TRAINING_SET: Failure = Failure::new("bad-training-set", Kind::Invalid);
/// No example of the window had a label that was known by then.
pub const EMPTY_TRAINING_SET: Failure = Failure::new("empty-training-set", Kind::Refused);
/// A look-up gave a key whose parts do not fit the view's entity.
pub const BAD_ENTITY_KEY: Failure = Failure::new("bad-entity-key", Kind::Invalid);
/// The online store could not read or write its file.
pub const ONLINE_STORE_FAILED: Failure = Failure::new("online-store-failed", Kind::Unavailable);
/// Another process has the online store open.
pub const ONLINE_STORE_IN_USE: Failure = Failure::new("online-store-in-use", Kind::Conflict);
/// A row of the online store was written for other columns than those asked for.
pub const ONLINE_ROW_UNREADABLE: Failure = Failure::new("online-row-unreadable", Kind::Conflict);
/// Logged values and recomputed values cannot be compared.
pub const BAD_SKEW_CHECK: Failure = Failure::new("bad-skew-check", Kind::Invalid);
