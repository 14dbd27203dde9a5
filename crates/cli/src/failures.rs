//! Every failure of the command line itself, by code.

use lw_core::{Failure, Kind};

pub const SERVER_UNREACHABLE: Failure = Failure::new("server-unreachable", Kind::Unavailable);
pub const SERVER_ANSWER: Failure = Failure::new("server-answer", Kind::Upstream);
pub const BAD_ARGUMENT: Failure = Failure::new("bad-argument", Kind::Invalid);
pub const DOCTOR_FAILED: Failure = Failure::new("doctor-failed", Kind::Refused);
pub const UNKNOWN_CODE: Failure = Failure::new("unknown-code", Kind::NotFound);
pub const FOLDER_NOT_EMPTY: Failure = Failure::new("folder-not-empty", Kind::Conflict);
pub const RUNTIME_FAILED: Failure = Failure::new("runtime-failed", Kind::Unavailable);
pub const LISTEN_FAILED: Failure = Failure::new("listen-failed", Kind::Unavailable);
pub const LEDGER_BROKEN: Failure = Failure::new("ledger-broken", Kind::Refused);
pub const RUN_FAILED: Failure = Failure::new("run-failed", Kind::Refused);
