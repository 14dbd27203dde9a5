//! Every failure that the store returns.

use lw_core::{Failure, Kind};

pub const ARTIFACT_CORRUPT: Failure = Failure::new("artifact-corrupt", Kind::Upstream);
pub const ARTIFACT_NOT_FOUND: Failure = Failure::new("artifact-not-found", Kind::NotFound);
pub const ARTIFACTS_UNAVAILABLE: Failure = Failure::new("artifacts-unavailable", Kind::Unavailable);
/// The parts of an upload cannot make a whole.
pub const BAD_PARTS: Failure = Failure::new("bad-parts", Kind::Invalid);
/// A regular expression that the database cannot read.
pub const BAD_PATTERN: Failure = Failure::new("bad-pattern", Kind::Invalid);
pub const BAD_STORE_URL: Failure = Failure::new("bad-store-url", Kind::Invalid);
pub const BAD_TEXT: Failure = Failure::new("bad-text", Kind::Invalid);
pub const DATABASE_NEWER: Failure = Failure::new("database-newer", Kind::Conflict);
pub const DISK_FULL: Failure = Failure::new("disk-full", Kind::Unavailable);
/// A database of another program cannot be read.
pub const FOREIGN_DATABASE: Failure = Failure::new("foreign-database", Kind::Invalid);
pub const METADATA_BUSY: Failure = Failure::new("metadata-busy", Kind::Exhausted);
pub const METADATA_CORRUPT: Failure = Failure::new("metadata-corrupt", Kind::Upstream);
/// The connection cannot be encrypted as the address asks.
pub const METADATA_TLS: Failure = Failure::new("metadata-tls", Kind::Unavailable);
pub const METADATA_UNREACHABLE: Failure = Failure::new("metadata-unreachable", Kind::Unavailable);
pub const METADATA_UNWRITABLE: Failure = Failure::new("metadata-unwritable", Kind::Unavailable);
pub const MIGRATION_CHANGED: Failure = Failure::new("migration-changed", Kind::Conflict);
pub const ROW_EXISTS: Failure = Failure::new("row-exists", Kind::Conflict);
/// An upload in parts that is not there, or not any more.
pub const UPLOAD_NOT_FOUND: Failure = Failure::new("upload-not-found", Kind::NotFound);
pub const WORKSPACE_IN_USE: Failure = Failure::new("workspace-in-use", Kind::Conflict);
