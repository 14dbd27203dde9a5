//! Every failure that this crate returns. Each code has a page in `docs/errors/`.

use lw_core::{Failure, Kind};

/// The SQL text does not parse.
pub const BAD_SQL: Failure = Failure::new("bad-sql", Kind::Invalid);
/// The SQL text is not one plain query, or calls a function whose answer depends on when it runs.
pub const SQL_NOT_ALLOWED: Failure = Failure::new("sql-not-allowed", Kind::Invalid);
pub const UNKNOWN_TABLE: Failure = Failure::new("unknown-table", Kind::Invalid);
pub const UNKNOWN_COLUMN: Failure = Failure::new("unknown-column", Kind::Invalid);
pub const UNKNOWN_FUNCTION: Failure = Failure::new("unknown-function", Kind::Invalid);
/// The SQL text parses, but its types do not fit together.
pub const SQL_TYPE_MISMATCH: Failure = Failure::new("sql-type-mismatch", Kind::Invalid);
/// The values that were given are not one for each parameter of the query.
pub const SQL_PARAMETERS: Failure = Failure::new("sql-parameters", Kind::Invalid);
/// The query was planned and then failed on a row: a cast, a division by zero, an overflow.
pub const QUERY_FAILED: Failure = Failure::new("query-failed", Kind::Invalid);
/// The query needs more memory (and spill space) than the engine was given.
pub const QUERY_EXHAUSTED: Failure = Failure::new("query-exhausted", Kind::Exhausted);

pub const BAD_TABLE_NAME: Failure = Failure::new("bad-table-name", Kind::Invalid);
pub const TABLE_NOT_FOUND: Failure = Failure::new("table-not-found", Kind::NotFound);
pub const TABLE_VERSION_NOT_FOUND: Failure = Failure::new("table-version-not-found", Kind::NotFound);
/// The rows' columns or types differ from those of the table.
pub const TABLE_SCHEMA_MISMATCH: Failure = Failure::new("table-schema-mismatch", Kind::Invalid);
/// A column has a type that a table cannot hold.
pub const UNSUPPORTED_TYPE: Failure = Failure::new("unsupported-type", Kind::Invalid);
/// Another process changed the same rows at the same time.
pub const TABLE_CONFLICT: Failure = Failure::new("table-conflict", Kind::Conflict);
/// Keys to merge by are not unique within the rows, or not columns of them.
pub const BAD_MERGE_KEYS: Failure = Failure::new("bad-merge-keys", Kind::Invalid);
/// The files of a table cannot be read or written.
pub const TABLE_UNAVAILABLE: Failure = Failure::new("table-unavailable", Kind::Unavailable);
/// An input file is missing or is not of the format that it is read as.
pub const FILE_UNREADABLE: Failure = Failure::new("input-file-unreadable", Kind::Invalid);

/// A point-in-time join names a column that is not there or has an unfit type.
pub const BAD_POINT_IN_TIME: Failure = Failure::new("bad-point-in-time", Kind::Invalid);
/// A value does not fit the type of its column.
pub const BAD_VALUE: Failure = Failure::new("bad-value", Kind::Invalid);
