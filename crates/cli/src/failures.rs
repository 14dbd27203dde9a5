//! Every failure of the command line itself, by code.

use lw_core::{Failure, Kind};

pub const SERVER_UNREACHABLE: Failure = Failure::new("server-unreachable", Kind::Unavailable);
pub const SERVER_ANSWER: Failure = Failure::new("server-answer", Kind::Upstream);
pub const ARTIFACTS_ELSEWHERE: Failure = Failure::new("artifacts-elsewhere", Kind::Invalid);
pub const BAD_ARGUMENT: Failure = Failure::new("bad-argument", Kind::Invalid);
pub const DOCTOR_FAILED: Failure = Failure::new("doctor-failed", Kind::Refused);
pub const UNKNOWN_CODE: Failure = Failure::new("unknown-code", Kind::NotFound);
pub const FOLDER_NOT_EMPTY: Failure = Failure::new("folder-not-empty", Kind::Conflict);
pub const RUNTIME_FAILED: Failure = Failure::new("runtime-failed", Kind::Unavailable);
pub const LISTEN_FAILED: Failure = Failure::new("listen-failed", Kind::Unavailable);
pub const LEDGER_BROKEN: Failure = Failure::new("ledger-broken", Kind::Refused);
/// The rows of a query ended before their end mark.
pub const ROWS_BROKE_OFF: Failure = Failure::new("rows-broke-off", Kind::Upstream);
pub const OUTPUT_UNWRITABLE: Failure = Failure::new("output-unwritable", Kind::Invalid);
pub const RUN_FAILED: Failure = Failure::new("run-failed", Kind::Refused);
/// An import ran to its end, and some things could not be brought.
pub const IMPORT_INCOMPLETE: Failure = Failure::new("import-incomplete", Kind::Refused);
pub const IMPORT_SOURCE_ANSWER: Failure = Failure::new("import-source-answer", Kind::Upstream);
pub const IMPORT_SOURCE_REFUSED: Failure = Failure::new("import-source-refused", Kind::Forbidden);
pub const IMPORT_SOURCE_UNREACHABLE: Failure = Failure::new("import-source-unreachable", Kind::Unavailable);
pub const NOT_MLFLOW: Failure = Failure::new("not-mlflow", Kind::Invalid);
pub const UNKNOWN_MLFLOW_SCHEMA: Failure = Failure::new("unknown-mlflow-schema", Kind::Invalid);
