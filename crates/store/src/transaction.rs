//! What a closure sees of its transaction.

use std::ops::{Deref, DerefMut};

use lw_core::{Actor, Ctx, Digest, Error, Result, Scalar, Timestamp};

use crate::Row;
use crate::connection::Connection;
use crate::migrations::Governed;

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

    /// The first row, if there is one.
    pub fn query_opt(&mut self, sql: &str, parameters: &[Scalar]) -> Result<Option<Row>> {
        Ok(self.query(sql, parameters)?.into_iter().next())
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

    /// Inserts many rows with few statements, which spares a round trip a row. Returns how many were changed.
    ///
    /// `insert` ends with `VALUES`, `conflict` is what follows the values and may be empty. All rows have the same number of columns;
    /// with `DO UPDATE` no two rows may have the same key.
    ///
    /// ```
    /// # use lw_core::{Result, Scalar};
    /// # fn example(tx: &mut lw_store::Tx<'_>, rows: &[Vec<Scalar>]) -> Result<u64> {
    /// tx.insert_many("INSERT INTO run_tag (run, tag_key, tag_value) VALUES", rows, "ON CONFLICT (run, tag_key) DO NOTHING")
    /// # }
    /// ```
    pub fn insert_many(&mut self, insert: &str, rows: &[Vec<Scalar>], conflict: &str) -> Result<u64> {
        let (mut rest, mut n_changed) = (rows, 0);
        while let Some(first) = rest.first() {
            // Four sizes, so that four statements are prepared and not one for each number of rows.
            let size = [128, 32, 8, 1].into_iter().find(|size| *size <= rest.len()).unwrap_or(1);
            let (chunk, remaining) = rest.split_at(size);
            let n_columns = first.len();
            let tuple = |row: usize| {
                let numbers = (row * n_columns + 1..=(row + 1) * n_columns).map(|number| format!("${number}"));
                format!("({})", numbers.collect::<Vec<_>>().join(", "))
            };
            let tuples: Vec<String> = (0..size).map(tuple).collect();
            n_changed += self.execute(&format!("{insert} {} {conflict}", tuples.join(", ")), &chunk.concat())?;
            rest = remaining;
        }
        Ok(n_changed)
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
    let has_nul = parameters.iter().any(|value| value.as_str().is_some_and(|text| text.contains('\0')));
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
