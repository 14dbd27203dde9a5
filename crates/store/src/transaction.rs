//! What a closure sees of its transaction.

use std::ops::{Deref, DerefMut};

use lw_core::{Actor, Ctx, Digest, Error, Result, Scalar, Timestamp};

use crate::connection::{Connection, Dialect};
use crate::migrations::Governed;
use crate::{Cell, Insert, Row, RowView};

/// A consistent view of the database: everything it reads is of one moment.
pub struct Reader<'c> {
    connection: &'c mut dyn Connection,
    governed: &'c Governed,
    has_failed: bool,
}

/// A transaction. What it did becomes durable when the closure returns `Ok`, and leaves no trace when it returns an error.
pub struct Tx<'c> {
    reader: Reader<'c>,
    pub(crate) head: &'c mut Option<Head>,
    now: Timestamp,
    actor: Actor,
    request_id: std::sync::Arc<str>,
}

/// The end of the ledger's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub seq: u64,
    pub hash: Digest,
}

impl<'c> Reader<'c> {
    pub(crate) fn new(connection: &'c mut dyn Connection, governed: &'c Governed) -> Self {
        Self { connection, governed, has_failed: false }
    }

    /// Runs a statement with placeholders `$1, $2, …` and returns all its rows.
    pub fn query(&mut self, sql: &str, parameters: &[Scalar]) -> Result<Vec<Row>> {
        check_texts(parameters)?;
        let rows = self.connection.query(sql, parameters);
        self.has_failed |= rows.is_err();
        rows
    }

    /// Hands each row of a statement's result to a closure, so that results of any length take no memory. An error of the closure
    /// ends the visit.
    pub fn visit(&mut self, sql: &str, parameters: &[Scalar], mut visitor: impl FnMut(&RowView<'_>) -> Result<()>) -> Result<()> {
        check_texts(parameters)?;
        let visited = self.connection.visit(sql, parameters, &mut |cells| visitor(&RowView(cells)));
        self.has_failed |= visited.is_err();
        visited
    }

    /// The same for many rows that fit into memory together: PostgreSQL packs each column into one array, since a message for each row
    /// costs the driver more than reading the row costs the server. The order of the rows is kept.
    pub fn visit_in_bulk(
        &mut self,
        sql: &str,
        parameters: &[Scalar],
        mut visitor: impl FnMut(&RowView<'_>) -> Result<()>,
    ) -> Result<()> {
        check_texts(parameters)?;
        let visited = self.connection.visit_in_bulk(sql, parameters, &mut |cells| visitor(&RowView(cells)));
        self.has_failed |= visited.is_err();
        visited
    }

    /// The first row, if there is one.
    pub fn query_opt(&mut self, sql: &str, parameters: &[Scalar]) -> Result<Option<Row>> {
        Ok(self.query(sql, parameters)?.into_iter().next())
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.connection.dialect()
    }

    pub(crate) fn governed(&self) -> &'c Governed {
        self.governed
    }

    /// Whether a statement failed, which ends a transaction on PostgreSQL even if the closure goes on.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }
}

impl<'c> Tx<'c> {
    pub(crate) fn new(reader: Reader<'c>, head: &'c mut Option<Head>, ctx: &Ctx) -> Self {
        Self { reader, head, now: ctx.now(), actor: ctx.actor.clone(), request_id: ctx.request_id.clone() }
    }

    /// Changes rows of plain tables and returns how many. Governed tables change through [`Tx::record`].
    pub fn execute(&mut self, sql: &str, parameters: &[Scalar]) -> Result<u64> {
        if let Some(table) = changed_table(sql).filter(|table| self.reader.governed.key_of(table).is_some()) {
            return Err(Error::bug(format!("the governed table `{table}` changes through Tx::record alone")));
        }
        self.execute_unchecked(sql, parameters)
    }

    /// Inserts rows into a plain table and returns how many were changed: in few trips where the database is a server, and without a
    /// copy of their values where it is in this process.
    pub fn insert<'v, const N: usize>(&mut self, insert: &Insert<N>, rows: impl Iterator<Item = [Cell<'v>; N]>) -> Result<u64> {
        if let Some(table) = changed_table(insert.text().into()).filter(|table| self.reader.governed.key_of(table).is_some()) {
            return Err(Error::bug(format!("the governed table `{table}` changes through Tx::record alone")));
        }
        let cells: Vec<Cell<'v>> = rows.flatten().collect();
        if cells.is_empty() {
            return Ok(0);
        }
        check_no_nul(cells.iter().any(|cell| matches!(cell, Cell::Text(text) if text.contains('\0'))))?;
        let n_rows = self.reader.connection.insert(insert.text(), &cells);
        self.reader.has_failed |= n_rows.is_err();
        n_rows
    }

    pub(crate) fn execute_unchecked(&mut self, sql: &str, parameters: &[Scalar]) -> Result<u64> {
        check_texts(parameters)?;
        let n_rows = self.reader.connection.execute(sql, parameters);
        self.reader.has_failed |= n_rows.is_err();
        n_rows
    }

    /// The time at which the transaction began, by the clock of its context.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}

impl<'c> Deref for Tx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.reader
    }
}

/// The table that an INSERT, UPDATE or DELETE names.
fn changed_table(sql: &str) -> Option<&str> {
    let mut words = sql.split_ascii_whitespace();
    let verb = words.next()?;
    let table = if verb.eq_ignore_ascii_case("update") {
        words.next()?
    } else if verb.eq_ignore_ascii_case("insert") || verb.eq_ignore_ascii_case("delete") {
        words.nth(1)?
    } else {
        return None;
    };
    Some(table.split('(').next().unwrap_or(table))
}

/// PostgreSQL cannot store the character U+0000, so neither database is asked to.
fn check_texts(parameters: &[Scalar]) -> Result<()> {
    check_no_nul(parameters.iter().any(|value| value.as_str().is_some_and(|text| text.contains('\0'))))
}

fn check_no_nul(has_nul: bool) -> Result<()> {
    if has_nul {
        return Err(crate::BAD_TEXT
            .error("a text contains the character U+0000, which a database cannot store")
            .hint("remove the character, or store the bytes as an artifact"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changed_table_is_found() {
        assert_eq!(changed_table("INSERT INTO run(id) VALUES ($1)"), Some("run"));
        assert_eq!(changed_table("  update run SET x = 1"), Some("run"));
        assert_eq!(changed_table("DELETE FROM run WHERE id = $1"), Some("run"));
        assert_eq!(changed_table("SELECT * FROM run"), None);
    }
}
