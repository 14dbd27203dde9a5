//! SQLite: the database inside the workspace.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use lw_core::{Error, Result, Scalar};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ErrorCode, OpenFlags, Statement};

use crate::cell::{Cell, Cells, InsertText};
use crate::connection::{Connection, Dialect, Visitor};
use crate::{DISK_FULL, METADATA_BUSY, METADATA_CORRUPT, METADATA_UNWRITABLE, ROW_EXISTS, Row};

pub(crate) struct Sqlite {
    connection: rusqlite::Connection,
    known: HashMap<Box<str>, Arc<Known>>,
}

/// What is the same each time a statement runs.
struct Known {
    /// For each placeholder in its order of appearance the position of its parameter. SQLite numbers `$2, $1` by their appearance.
    positions: Box<[usize]>,
    n_parameters: usize,
    columns: Arc<[String]>,
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

    /// Opens a database that nobody writes meanwhile, without a look at its locks and its journal.
    pub(crate) fn open_immutable(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut address = String::from("file:");
        for byte in path.to_string_lossy().bytes() {
            match byte {
                b'%' | b'?' | b'#' => address.push_str(&format!("%{byte:02x}")),
                _ if byte.is_ascii() => address.push(char::from(byte)),
                _ => address.push_str(&format!("%{byte:02x}")),
            }
        }
        address.push_str("?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        Self::open(Path::new(&address), flags, READER_PRAGMAS)
    }

    fn open(path: &Path, flags: OpenFlags, pragmas: &str) -> Result<Self> {
        let open = || -> rusqlite::Result<rusqlite::Connection> {
            let connection = rusqlite::Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            connection.execute_batch(pragmas)?;
            connection.execute_batch(SHARED_PRAGMAS)?;
            connection.set_prepared_statement_cache_capacity(N_CACHED_STATEMENTS);
            crate::pattern::register(&connection)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| explain(error).context(format!("metadata database {}", path.display())))?;
        Ok(Self { connection, known: HashMap::new() })
    }
}

/// A prepared statement with its parameters bound, and what is known of it.
fn ready<'c>(
    connection: &'c rusqlite::Connection,
    all_known: &mut HashMap<Box<str>, Arc<Known>>,
    sql: &str,
    parameters: &[Scalar],
) -> Result<(CachedStatement<'c>, Arc<Known>)> {
    let mut statement = connection.prepare_cached(sql).map_err(|error| explain_in(error, sql))?;
    let known = match all_known.get(sql) {
        Some(known) => known.clone(),
        None => {
            let known = Arc::new(Known::of(&statement, sql)?);
            if all_known.len() >= 2 * N_CACHED_STATEMENTS {
                all_known.clear();
            }
            all_known.insert(sql.into(), known.clone());
            known
        }
    };
    if known.n_parameters != parameters.len() {
        return Err(mismatch(sql, parameters.len()));
    }
    for (index, position) in known.positions.iter().enumerate() {
        let parameter = parameters.get(*position).ok_or_else(|| mismatch(sql, parameters.len()))?;
        statement.raw_bind_parameter(index + 1, to_sql(parameter.into())).map_err(|error| explain_in(error, sql))?;
    }
    Ok((statement, known))
}

impl Known {
    fn of(statement: &Statement<'_>, sql: &str) -> Result<Self> {
        let position = |index: usize| {
            let digits = statement.parameter_name(index).and_then(|name| name.strip_prefix('$'));
            digits.and_then(|digits| digits.parse::<usize>().ok()).and_then(|number| number.checked_sub(1))
        };
        let positions: Option<Box<[usize]>> = (1..=statement.parameter_count()).map(position).collect();
        let positions = positions.ok_or_else(|| Error::bug(format!("placeholders are `$1`, `$2`, …, not as in: {sql}")))?;
        let n_parameters = positions.iter().max().map_or(0, |highest| highest + 1);
        Ok(Self { positions, n_parameters, columns: statement.column_names().map(str::to_owned).collect() })
    }
}

fn mismatch(sql: &str, n_parameters: usize) -> Error {
    Error::bug(format!("{n_parameters} parameters do not fit the placeholders of: {sql}"))
}

impl Connection for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn query(&mut self, sql: &str, parameters: &[Scalar]) -> Result<Vec<Row>> {
        let (mut statement, known) = ready(&self.connection, &mut self.known, sql, parameters)?;
        let mut rows = Vec::new();
        let mut cursor = statement.raw_query();
        while let Some(row) = cursor.next().map_err(|error| explain_in(error, sql))? {
            let values = (0..known.columns.len()).map(|index| value(row.get_ref(index).map_err(|error| explain_in(error, sql))?));
            rows.push(Row::new(known.columns.clone(), values.collect::<Result<_>>()?));
        }
        Ok(rows)
    }

    fn execute(&mut self, sql: &str, parameters: &[Scalar]) -> Result<u64> {
        let (mut statement, _) = ready(&self.connection, &mut self.known, sql, parameters)?;
        let n_rows = statement.raw_execute().map_err(|error| explain_in(error, sql))?;
        Ok(n_rows as u64)
    }

    fn visit(&mut self, sql: &str, parameters: &[Scalar], visitor: &mut Visitor<'_>) -> Result<()> {
        let (mut statement, _) = ready(&self.connection, &mut self.known, sql, parameters)?;
        let mut cursor = statement.raw_query();
        while let Some(row) = cursor.next().map_err(|error| explain_in(error, sql))? {
            visitor(row)?;
        }
        Ok(())
    }

    /// One row at a time: a statement inside the process costs less than the longer text of many rows.
    fn insert(&mut self, insert: &InsertText, cells: &[Cell<'_>]) -> Result<u64> {
        let sql = insert.for_one();
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| explain_in(error, sql))?;
        let mut n_rows = 0;
        for row in cells.chunks_exact(insert.n_columns()) {
            // The text numbers its placeholders in the order in which they stand.
            for (index, cell) in row.iter().enumerate() {
                statement.raw_bind_parameter(index + 1, to_sql(*cell)).map_err(|error| explain_in(error, sql))?;
            }
            n_rows += statement.raw_execute().map_err(|error| explain_in(error, sql))? as u64;
        }
        Ok(n_rows)
    }

    fn batch(&mut self, sql: &str) -> Result<()> {
        // BEGIN, SAVEPOINT and their like run with every write, so that they are prepared once.
        if !sql.contains(';') {
            let mut statement = self.connection.prepare_cached(sql).map_err(|error| explain_in(error, sql))?;
            return statement.raw_execute().map(drop).map_err(|error| explain_in(error, sql));
        }
        // Several statements may change what `SELECT *` gives.
        self.known.clear();
        self.connection.execute_batch(sql).map_err(|error| explain_in(error, sql))
    }

    fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

fn to_sql(cell: Cell<'_>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match cell {
        Cell::Null => ValueRef::Null,
        Cell::Int(value) => ValueRef::Integer(value),
        Cell::Float(value) => ValueRef::Real(value),
        Cell::Text(text) => ValueRef::Text(text.as_bytes()),
    })
}

impl Cells for rusqlite::Row<'_> {
    fn cell(&self, index: usize) -> Result<Cell<'_>> {
        match self.get_ref(index).map_err(explain)? {
            ValueRef::Null => Ok(Cell::Null),
            ValueRef::Integer(value) => Ok(Cell::Int(value)),
            ValueRef::Real(value) => Ok(Cell::Float(value)),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => std::str::from_utf8(bytes).map(Cell::Text).map_err(|error| {
                METADATA_CORRUPT
                    .error("the metadata database holds bytes that are no text where a text belongs")
                    .hint("somebody changed the file; restore the latest backup")
                    .cause(error)
            }),
        }
    }
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
    if let rusqlite::Error::SqliteFailure(_, Some(message)) = &error
        && let Some(reason) = crate::pattern::refused(message)
    {
        return crate::pattern::bad(reason);
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
