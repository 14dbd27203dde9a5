//! What the two database drivers have in common.

use lw_core::{Result, Scalar};

use crate::Row;
use crate::cell::{Cell, Cells, InsertText};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

pub(crate) type Visitor<'v> = dyn FnMut(&dyn Cells) -> Result<()> + 'v;

/// One open connection of a driver. Statements use `$1, $2, …` and are prepared once.
pub(crate) trait Connection {
    fn dialect(&self) -> Dialect;

    fn query(&mut self, sql: &str, parameters: &[Scalar]) -> Result<Vec<Row>>;

    /// Runs a statement and returns the number of rows that it changed.
    fn execute(&mut self, sql: &str, parameters: &[Scalar]) -> Result<u64>;

    /// Hands each row of a result to a closure while the statement stands at it, so that no row is kept.
    fn visit(&mut self, sql: &str, parameters: &[Scalar], visitor: &mut Visitor<'_>) -> Result<()>;

    /// The same for results that fit into memory, in as few messages as the database can.
    fn visit_in_bulk(&mut self, sql: &str, parameters: &[Scalar], visitor: &mut Visitor<'_>) -> Result<()> {
        self.visit(sql, parameters, visitor)
    }

    /// Inserts rows and returns how many were changed. `cells` holds them one behind the other.
    fn insert(&mut self, insert: &InsertText, cells: &[Cell<'_>]) -> Result<u64>;

    /// Runs several statements without parameters: migrations, `BEGIN`, `COMMIT`, savepoints.
    fn batch(&mut self, sql: &str) -> Result<()>;

    /// Whether the transaction still stands. A full disk or a lost connection ends it at once.
    fn is_in_transaction(&self) -> bool;
}
