//! Every failure of this crate. Each code has a page in docs/errors/.

use lw_core::{Failure, Kind};

/// A monitor that watches nothing, two things at once, or with limits that make no sense.
pub const BAD_MONITOR: Failure = Failure::new("bad-monitor", Kind::Invalid);
/// A monitor over a feature that is no input of the model.
pub const UNKNOWN_MONITORED_FEATURE: Failure = Failure::new("unknown-monitored-feature", Kind::Invalid);
/// A monitor compares with a reference value that the model version does not have.
pub const MONITOR_WITHOUT_REFERENCE: Failure = Failure::new("monitor-without-reference", Kind::Invalid);
/// A feature of a type that has no distribution to compare.
pub const UNMONITORED_TYPE: Failure = Failure::new("unmonitored-type", Kind::Invalid);
/// Stored reference data that is not what this version of the program wrote.
pub const REFERENCE_UNREADABLE: Failure = Failure::new("reference-unreadable", Kind::Invalid);
