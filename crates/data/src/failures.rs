//! What can go wrong between a file and a table version. Each code has a page in `docs/errors/`.

use lw_core::{Failure, Kind};

/// A source definition that cannot work: a rule on an unknown column, a key that is not declared, a pattern that leaves the project.
pub const SOURCE_INVALID: Failure = Failure::new("source-invalid", Kind::Invalid);
/// No file matches the source's pattern.
pub const SOURCE_FILES_MISSING: Failure = Failure::new("source-files-missing", Kind::NotFound);
/// A file that was ingested has other content now.
pub const SOURCE_FILE_CHANGED: Failure = Failure::new("source-file-changed", Kind::Conflict);
/// A file changed while it was read.
pub const SOURCE_FILE_UNSTABLE: Failure = Failure::new("source-file-unstable", Kind::Unavailable);
/// A file that cannot be read as its format: cut off, not UTF-8, a broken line.
pub const SOURCE_FILE_UNREADABLE: Failure = Failure::new("source-file-unreadable", Kind::Invalid);
/// A file's columns are not the declared ones.
pub const SOURCE_COLUMNS_CHANGED: Failure = Failure::new("source-columns-changed", Kind::Refused);
/// A column of a file, or of the table, has a type that the declared one cannot hold.
pub const SOURCE_TYPE_CHANGED: Failure = Failure::new("source-type-changed", Kind::Refused);
/// A timestamp without a zone in a column that declares none.
pub const TIMESTAMP_WITHOUT_ZONE: Failure = Failure::new("timestamp-without-zone", Kind::Invalid);
/// A rule with severity `reject` failed, or too many rows would go to quarantine.
pub const CONTRACT_REFUSED: Failure = Failure::new("contract-refused", Kind::Refused);
/// Another ingestion of the same source is under way, or has just finished.
pub const INGEST_CONFLICT: Failure = Failure::new("ingest-conflict", Kind::Conflict);
/// A version of a table that is not recorded.
pub const TABLE_VERSION_UNKNOWN: Failure = Failure::new("table-version-unknown", Kind::NotFound);
