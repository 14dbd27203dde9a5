//! PostgreSQL: the database of several servers.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BytesMut;
use lw_core::{Error, Result, Scalar};
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, IsNull, ToSql, Type};
use postgres::{Client, NoTls, Statement};

use crate::cell::{Cell, Cells, InsertText};
use crate::connection::{Connection, Dialect, Visitor};
use crate::encryption::{Encryption, Mode};
use crate::{DISK_FULL, METADATA_TLS, METADATA_UNREACHABLE, METADATA_UNWRITABLE, MetadataUrl, ROW_EXISTS, Row};

pub(crate) struct Postgres {
    client: Client,
    statements: HashMap<String, Statement>,
    is_in_transaction: bool,
}

const N_CACHED_STATEMENTS: usize = 512;

/// How statements are planned: they read ranges of indexes that lie in memory or on solid disks, and are over in milliseconds, which is
/// what starting workers or compiling a plan costs. What the address sets by itself stays.
const SETTINGS: &[(&str, &str)] = &[("random_page_cost", "1.1"), ("max_parallel_workers_per_gather", "0"), ("jit", "off")];

impl Postgres {
    /// Connects. Call it from a thread without an asynchronous runtime.
    pub(crate) fn connect(url: &MetadataUrl, address: &str) -> Result<Self> {
        let (rest, encryption) = Encryption::split(address)?;
        let mut config = rest.parse::<postgres::Config>().map_err(|error| unreachable(url, error))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(5));
        }
        if config.get_password().is_none()
            && let Some(password) = crate::password::find(&config)
        {
            config.password(password);
        }
        config.application_name("loopwright").ssl_mode(encryption.ssl_mode());
        let connected = match encryption.mode {
            Mode::Disable => config.connect(NoTls),
            _ => config.connect(encryption.connector()?),
        };
        let mut client = connected.map_err(|error| unreachable(url, error))?;
        let given = config.get_options().unwrap_or_default();
        let settings: String = SETTINGS
            .iter()
            .filter(|(name, _)| !given.contains(name))
            .map(|(name, value)| format!("SET {name} = {value};"))
            .collect();
        client.batch_execute(&settings).map_err(|error| unreachable(url, error))?;
        Ok(Self { client, statements: HashMap::new(), is_in_transaction: false })
    }

    fn prepare(&mut self, sql: &str, n_parameters: usize) -> Result<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).map_err(|error| explain(error, sql))?;
        if statement.params().len() != n_parameters {
            return Err(Error::bug(format!("{n_parameters} parameters do not fit the placeholders of: {sql}")));
        }
        if self.statements.len() >= N_CACHED_STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Connection for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn query(&mut self, sql: &str, parameters: &[Scalar]) -> Result<Vec<Row>> {
        let statement = self.prepare(sql, parameters.len())?;
        let parameters: Vec<Parameter<'_>> = parameters.iter().map(|value| Parameter(value.into())).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
        let columns: Arc<[String]> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let rows = self.client.query(&statement, &parameters).map_err(|error| explain(error, sql))?;
        let rows = rows.iter().map(|row| {
            let values = (0..columns.len()).map(|index| row.try_get::<_, Value>(index).map(|value| value.0));
            Ok(Row::new(columns.clone(), values.collect::<Result<_, _>>().map_err(|error| explain(error, sql))?))
        });
        rows.collect()
    }

    fn execute(&mut self, sql: &str, parameters: &[Scalar]) -> Result<u64> {
        let statement = self.prepare(sql, parameters.len())?;
        let parameters: Vec<Parameter<'_>> = parameters.iter().map(|value| Parameter(value.into())).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
        self.client.execute(&statement, &parameters).map_err(|error| explain(error, sql))
    }

    fn visit(&mut self, sql: &str, parameters: &[Scalar], visitor: &mut Visitor<'_>) -> Result<()> {
        let statement = self.prepare(sql, parameters.len())?;
        let parameters: Vec<Parameter<'_>> = parameters.iter().map(|value| Parameter(value.into())).collect();
        let mut rows = self.client.query_raw(&statement, &parameters).map_err(|error| explain(error, sql))?;
        while let Some(row) = rows.next().map_err(|error| explain(error, sql))? {
            visitor(&row)?;
        }
        Ok(())
    }

    fn visit_in_bulk(&mut self, sql: &str, parameters: &[Scalar], visitor: &mut Visitor<'_>) -> Result<()> {
        let n_columns = self.prepare(sql, parameters.len())?.columns().len();
        let packed = packed(sql, n_columns);
        let statement = self.prepare(&packed, parameters.len())?;
        let parameters: Vec<Parameter<'_>> = parameters.iter().map(|value| Parameter(value.into())).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
        let row = self.client.query_one(&statement, &parameters).map_err(|error| explain(error, sql))?;
        // Without rows there are no arrays.
        let column = |index| row.try_get::<_, Option<Vec<Borrowed<'_>>>>(index).map(Option::unwrap_or_default);
        let columns =
            (0..n_columns).map(column).collect::<Result<Vec<_>, _>>().map_err(|error| explain(error, "an array of values"))?;
        let n_rows = columns.first().map_or(0, Vec::len);
        (0..n_rows).try_for_each(|at| visitor(&PackedRow { columns: &columns, at }))
    }

    /// Many rows at a time: each statement is a trip to the server.
    fn insert(&mut self, insert: &InsertText, cells: &[Cell<'_>]) -> Result<u64> {
        let (mut rest, mut n_changed) = (cells, 0);
        while !rest.is_empty() {
            let (n_rows, sql) = insert.for_most(rest.len() / insert.n_columns());
            let (chunk, remaining) = rest.split_at((n_rows * insert.n_columns()).min(rest.len()));
            let statement = self.prepare(sql, chunk.len())?;
            let parameters: Vec<Parameter<'_>> = chunk.iter().map(|cell| Parameter(*cell)).collect();
            let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
            n_changed += self.client.execute(&statement, &parameters).map_err(|error| explain(error, sql))?;
            rest = remaining;
        }
        Ok(n_changed)
    }

    fn batch(&mut self, sql: &str) -> Result<()> {
        let done = self.client.batch_execute(sql).map_err(|error| explain(error, sql));
        if sql.starts_with("BEGIN") {
            self.is_in_transaction = done.is_ok();
        } else if sql == "COMMIT" || sql == "ROLLBACK" {
            self.is_in_transaction = false;
        }
        done
    }

    fn is_in_transaction(&self) -> bool {
        self.is_in_transaction && !self.client.is_closed()
    }
}

/// A value on its way to the server, in the form of the column that waits for it.
#[derive(Debug)]
struct Parameter<'a>(Cell<'a>);

type BoxedError = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Parameter<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        match (self.0, ty) {
            (Cell::Null, _) => Ok(IsNull::Yes),
            (Cell::Int(value), &Type::BOOL) => (value != 0).to_sql(ty, out),
            (Cell::Int(value), _) => integer(value, ty, out),
            (Cell::Float(value), &Type::FLOAT8) => value.to_sql(ty, out),
            (Cell::Text(text), _) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            (value, ty) => Err(format!("{value:?} does not fit the type {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        self.to_sql(ty, out)
    }
}

fn integer(value: i64, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
    match *ty {
        Type::INT8 => value.to_sql(ty, out),
        Type::INT4 => i32::try_from(value)?.to_sql(ty, out),
        Type::FLOAT8 => (value as f64).to_sql(ty, out),
        _ => Err(format!("the integer {value} does not fit the type {ty}").into()),
    }
}

/// A value as the server sent it.
struct Value(Scalar);

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, BoxedError> {
        Ok(Self(match *ty {
            Type::BOOL => Scalar::Bool(bool::from_sql(ty, raw)?),
            Type::INT2 => Scalar::Int(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Scalar::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Scalar::Int(i64::from_sql(ty, raw)?),
            Type::FLOAT4 => Scalar::Float(f32::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => Scalar::Float(f64::from_sql(ty, raw)?),
            Type::NUMERIC => numeric(raw)?,
            _ if <&str as FromSql>::accepts(ty) => Scalar::Text(<&str>::from_sql(ty, raw)?.to_owned()),
            _ => return Err(format!("columns of type {ty} are not read").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, BoxedError> {
        Ok(Self(Scalar::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A value as the server sent it, where the driver keeps it.
struct Borrowed<'a>(Cell<'a>);

impl<'a> FromSql<'a> for Borrowed<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, BoxedError> {
        if <&str as FromSql>::accepts(ty) {
            return Ok(Self(Cell::Text(<&str>::from_sql(ty, raw)?)));
        }
        let Value(scalar) = Value::from_sql(ty, raw)?;
        Ok(Self(match scalar {
            Scalar::Float(value) => Cell::Float(value),
            Scalar::Int(value) => Cell::Int(value),
            Scalar::Bool(value) => Cell::Int(i64::from(value)),
            other => return Err(format!("{other:?} is not read in place").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, BoxedError> {
        Ok(Self(Cell::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// All rows of a query as one row of arrays. An aggregate takes its rows in the order of the query below it (PostgreSQL, "Aggregate
/// Functions").
fn packed(sql: &str, n_columns: usize) -> String {
    let names: Vec<String> = (0..n_columns).map(|index| format!("c{index}")).collect();
    let arrays: Vec<String> = names.iter().map(|name| format!("array_agg({name})")).collect();
    format!("SELECT {} FROM ({sql}) AS packed ({})", arrays.join(", "), names.join(", "))
}

/// One of the rows that came packed into arrays.
struct PackedRow<'a> {
    columns: &'a [Vec<Borrowed<'a>>],
    at: usize,
}

impl Cells for PackedRow<'_> {
    fn cell(&self, index: usize) -> Result<Cell<'_>> {
        let value = self.columns.get(index).and_then(|column| column.get(self.at));
        value.map(|value| value.0).ok_or_else(|| Error::bug(format!("the rows have no column {index}")))
    }
}

impl Cells for postgres::Row {
    fn cell(&self, index: usize) -> Result<Cell<'_>> {
        self.try_get::<_, Borrowed<'_>>(index).map(|value| value.0).map_err(|error| explain(error, "a row's value"))
    }
}

/// `SUM` over integers is NUMERIC: groups of four decimal digits, the first one of the given weight (PostgreSQL, numeric.c).
fn numeric(raw: &[u8]) -> Result<Scalar, BoxedError> {
    let words: Vec<u16> = raw.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let [_, weight, sign, _, groups @ ..] = words.as_slice() else { return Err("a NUMERIC is cut off".into()) };
    let (weight, is_negative) = (weight.cast_signed(), *sign == 0x4000);
    if !matches!(*sign, 0 | 0x4000) {
        return Ok(Scalar::Float(f64::NAN));
    }
    let is_whole = groups.len() <= usize::try_from(i32::from(weight) + 1).unwrap_or(0);
    let power = |index: usize| i32::from(weight) - i32::try_from(index).unwrap_or(i32::MAX);
    if is_whole && weight < 5 {
        let sum: i128 = groups
            .iter()
            .enumerate()
            .map(|(index, group)| i128::from(*group) * 10_000_i128.pow(power(index).unsigned_abs()))
            .sum();
        if let Ok(value) = i64::try_from(if is_negative { -sum } else { sum }) {
            return Ok(Scalar::Int(value));
        }
    }
    let sum: f64 = groups.iter().enumerate().map(|(index, group)| f64::from(*group) * 10_000_f64.powi(power(index))).sum();
    Ok(Scalar::Float(if is_negative { -sum } else { sum }))
}

fn unreachable(url: &MetadataUrl, error: postgres::Error) -> Error {
    let reason = innermost(&error);
    // The driver tells its kinds of failures apart by their text alone.
    if error.to_string().starts_with("error performing TLS handshake") {
        return METADATA_TLS
            .error(format!("the connection to the metadata database {url} cannot be encrypted as asked: {reason}"))
            .hint(
                "the server needs `ssl = on`; for verify-ca and verify-full name the authority of its certificate with \
                 sslrootcert=/path/ca.pem. sslmode=require encrypts without asking who answers",
            )
            .cause(error);
    }
    METADATA_UNREACHABLE
        .error(format!("the metadata database {url} cannot be reached: {reason}"))
        .hint("check that PostgreSQL runs there and that host, port, user, password and database are right")
        .cause(error)
}

fn innermost(error: &postgres::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// What the server says, without its severity and code.
fn server_message(error: &postgres::Error) -> &str {
    error.as_db_error().map_or("", |error| error.message().trim_start_matches("invalid regular expression: "))
}

fn explain(error: postgres::Error, sql: &str) -> Error {
    let Some(state) = error.code() else {
        if error.is_closed() || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>()) {
            return METADATA_UNREACHABLE
                .error("the connection to the metadata database was lost; the change may or may not have been made")
                .hint("try again; an operation that was done already answers that it exists")
                .cause(error);
        }
        let message = format!("statement `{sql}`: {}", innermost(&error));
        return Error::bug(message).cause(error);
    };
    if *state == SqlState::UNIQUE_VIOLATION {
        return ROW_EXISTS.error("a row with the same key exists already").cause(error);
    }
    if *state == SqlState::INVALID_REGULAR_EXPRESSION {
        return crate::pattern::bad(server_message(&error)).cause(error);
    }
    if *state == SqlState::DISK_FULL {
        return DISK_FULL
            .error("the disk of the metadata database is full; nothing was changed")
            .hint("free space on the disk of PostgreSQL and try again")
            .cause(error);
    }
    if *state == SqlState::READ_ONLY_SQL_TRANSACTION || *state == SqlState::INSUFFICIENT_PRIVILEGE {
        return METADATA_UNWRITABLE
            .error("the metadata database refuses writes; nothing was changed")
            .hint("connect to the primary server, as a user who may create and write tables")
            .cause(error);
    }
    // 08: connection, 40: rolled back, 53: resources, 57: operator intervention (PostgreSQL, appendix A).
    if ["08", "40", "53", "57"].iter().any(|class| state.code().starts_with(class)) {
        return METADATA_UNREACHABLE
            .error(format!("the metadata database gave up on the change: {}", innermost(&error)))
            .hint("try again in a moment")
            .cause(error);
    }
    let message = format!("statement `{sql}`: PostgreSQL says: {}", innermost(&error));
    Error::bug(message).cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[u16], want: Scalar) {
        let raw: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(numeric(&raw).unwrap(), want);
    }

    #[test]
    fn numerics_become_integers_where_they_are_whole() {
        check(&[0, 0, 0, 0], Scalar::Int(0));
        check(&[1, 1, 0, 0, 3], Scalar::Int(30_000));
        check(&[2, 1, 0x4000, 0, 12, 3456], Scalar::Int(-123_456));
        check(&[2, 0, 0, 1, 1, 5000], Scalar::Float(1.5));
        check(&[1, 0xFFFF, 0, 2, 2500], Scalar::Float(0.25));
    }
}
