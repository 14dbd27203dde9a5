//! SQLite: the database inside the workspace.

use std::path::Path;
use std::sync::Arc;

use lw_core::{Error, Result, Scalar};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, Statement};

use crate::connection::{Connection, Dialect};
use crate::{DISK_FULL, METADATA_BUSY, METADATA_CORRUPT, METADATA_UNWRITABLE, ROW_EXISTS, Row};

pub(crate) struct Sqlite {
    connection: rusqlite::Connection,
}

/// WAL lets readers go on while a transaction commits; FULL makes a commit wait until the disk has it.
const WRITER_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
     PRAGMA cache_size = -8000; PRAGMA journal_size_limit = 67108864;";
const READER_PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -8000;";
/// LIKE tells letters from capitals, as on PostgreSQL; who wants no difference compares `LOWER(a) LIKE LOWER(b)`.
const SHARED_PRAGMAS: &str = "PRAGMA case_sensitive_like = ON;";
const N_CACHED_STATEMENTS: usize = 256;

impl Sqlite {
    /// Opens the one connection that writes. The file is made if it is missing.
    pub(crate) fn open_writer(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::open(path, flags, WRITER_PRAGMAS)
    }

    pub(crate) fn open_reader(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::open(path, flags, READER_PRAGMAS)
    }

    fn open(path: &Path, flags: OpenFlags, pragmas: &str) -> Result<Self> {
        let open = || -> rusqlite::Result<rusqlite::Connection> {
            let connection = rusqlite::Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            connection.execute_batch(pragmas)?;
            connection.execute_batch(SHARED_PRAGMAS)?;
            connection.set_prepared_statement_cache_capacity(N_CACHED_STATEMENTS);
            Ok(connection)
        };
        let connection = open().map_err(|error| explain(error).context(format!("metadata database {}", path.display())))?;
        Ok(Self { connection })
    }
}

impl Connection for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn query(&mut self, sql: &str, parameters: &[Scalar]) -> Result<Vec<Row>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| explain_in(error, sql))?;
        bind(&mut statement, sql, parameters)?;
        let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
        let mut rows = Vec::new();
        let mut cursor = statement.raw_query();
        while let Some(row) = cursor.next().map_err(|error| explain_in(error, sql))? {
            let values = (0..columns.len()).map(|index| value(row.get_ref(index).map_err(|error| explain_in(error, sql))?));
            rows.push(Row::new(columns.clone(), values.collect::<Result<_>>()?));
        }
        Ok(rows)
    }

    fn execute(&mut self, sql: &str, parameters: &[Scalar]) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| explain_in(error, sql))?;
        bind(&mut statement, sql, parameters)?;
        let n_rows = statement.raw_execute().map_err(|error| explain_in(error, sql))?;
        Ok(n_rows as u64)
    }

    fn batch(&mut self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| explain_in(error, sql))
    }

    fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

/// SQLite numbers `$2, $1` in order of appearance, so that parameters are bound by the digits of their names.
fn bind(statement: &mut Statement<'_>, sql: &str, parameters: &[Scalar]) -> Result<()> {
    let mismatch = || Error::bug(format!("{} parameters do not fit the placeholders of: {sql}", parameters.len()));
    let n_placeholders = statement.parameter_count();
    let mut highest = 0;
    for index in 1..=n_placeholders {
        let digits = statement.parameter_name(index).and_then(|name| name.strip_prefix('$'));
        let number: usize = digits.and_then(|digits| digits.parse().ok()).ok_or_else(mismatch)?;
        let parameter = number.checked_sub(1).and_then(|position| parameters.get(position)).ok_or_else(mismatch)?;
        highest = highest.max(number);
        statement.raw_bind_parameter(index, to_sql(parameter)).map_err(|error| explain_in(error, sql))?;
    }
    if highest == parameters.len() { Ok(()) } else { Err(mismatch()) }
}

fn to_sql(value: &Scalar) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Scalar::Null => ValueRef::Null,
        Scalar::Bool(value) => ValueRef::Integer(i64::from(*value)),
        Scalar::Int(value) => ValueRef::Integer(*value),
        Scalar::Float(value) => ValueRef::Real(*value),
        Scalar::Text(text) => ValueRef::Text(text.as_bytes()),
        Scalar::Time(time) => ValueRef::Integer(time.micros()),
    })
}

fn value(value: ValueRef<'_>) -> Result<Scalar> {
    Ok(match value {
        ValueRef::Null => Scalar::Null,
        ValueRef::Integer(value) => Scalar::Int(value),
        ValueRef::Real(value) => Scalar::Float(value),
        // A file that someone edited may hold bytes that are no text; verification must be able to read them.
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Scalar::Text(String::from_utf8_lossy(bytes).into_owned()),
    })
}

fn explain_in(error: rusqlite::Error, sql: &str) -> Error {
    let error = explain(error);
    if error.kind() == lw_core::Kind::Bug { error.context(format!("statement `{sql}`")) } else { error }
}

fn explain(error: rusqlite::Error) -> Error {
    const UNIQUE: [i32; 2] = [1555, 2067];
    if error.sqlite_extended_error_code().is_some_and(|code| UNIQUE.contains(&code)) {
        return ROW_EXISTS.error("a row with the same key exists already").cause(error);
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => DISK_FULL
            .error("the disk of the metadata database is full; nothing was changed")
            .hint("free space on the disk of the workspace and try again")
            .cause(error),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::PermissionDenied) => {
            METADATA_UNWRITABLE
                .error("the metadata database cannot be opened or written; nothing was changed")
                .hint("check that the directory exists, the disk works and you may write to it")
                .cause(error)
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => METADATA_CORRUPT
            .error("the metadata database is damaged, or the file is not a SQLite database")
            .hint("restore the latest backup; `sqlite3 FILE 'PRAGMA integrity_check'` shows the damage")
            .cause(error),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => METADATA_BUSY
            .error("another program holds the metadata database locked")
            .hint("close the program that has the file open and try again")
            .cause(error),
        _ => {
            let message = format!("SQLite says: {error}");
            Error::bug(message).cause(error)
        }
    }
}
