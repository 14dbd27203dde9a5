//! What the two database drivers have in common.

use lw_core::{Result, Scalar};

use crate::Row;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// One open connection of a driver. Statements use `$1, $2, …` and are prepared once.
pub(crate) trait Connection {
    fn dialect(&self) -> Dialect;

    fn query(&mut self, sql: &str, parameters: &[Scalar]) -> Result<Vec<Row>>;

    /// Runs a statement and returns the number of rows that it changed.
    fn execute(&mut self, sql: &str, parameters: &[Scalar]) -> Result<u64>;

    /// Runs several statements without parameters: migrations, `BEGIN`, `COMMIT`, savepoints.
    fn batch(&mut self, sql: &str) -> Result<()>;

    /// Whether the transaction still stands. A full disk or a lost connection ends it at once.
    fn is_in_transaction(&self) -> bool;
}
