//! Values on their way into the database and out of it, without copies.

use std::sync::OnceLock;

use lw_core::{Error, Result, Scalar, Timestamp};

/// A value of a row that belongs to somebody else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    Float(f64),
    Text(&'a str),
}

/// The row that a statement stands at. Columns are read by their position.
pub struct RowView<'r>(pub(crate) &'r dyn Cells);

/// What a driver's row can do.
pub(crate) trait Cells {
    fn cell(&self, index: usize) -> Result<Cell<'_>>;
}

impl RowView<'_> {
    pub fn cell(&self, index: usize) -> Result<Cell<'_>> {
        self.0.cell(index)
    }

    pub fn int(&self, index: usize) -> Result<i64> {
        match self.cell(index)? {
            Cell::Int(value) => Ok(value),
            other => Err(mistyped(index, other, "an integer")),
        }
    }

    pub fn time(&self, index: usize) -> Result<Timestamp> {
        self.int(index).map(Timestamp::from_micros)
    }

    pub fn float(&self, index: usize) -> Result<f64> {
        match self.cell(index)? {
            Cell::Float(value) => Ok(value),
            Cell::Int(value) => Ok(value as f64),
            other => Err(mistyped(index, other, "a number")),
        }
    }

    pub fn text(&self, index: usize) -> Result<&str> {
        self.opt_text(index)?.ok_or_else(|| mistyped(index, Cell::Null, "text"))
    }

    pub fn opt_text(&self, index: usize) -> Result<Option<&str>> {
        match self.cell(index)? {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            other => Err(mistyped(index, other, "text")),
        }
    }
}

fn mistyped(index: usize, cell: Cell<'_>, wanted: &str) -> Error {
    Error::bug(format!("column {index} holds {cell:?}, not {wanted}"))
}

/// An INSERT of rows with `N` columns, whose texts are made once.
///
/// ```
/// use lw_store::{Cell, Insert};
///
/// static TAGS: Insert<3> = Insert::new("INSERT INTO run_tag (run, tag_key, tag_value)", "ON CONFLICT DO NOTHING");
///
/// # fn example(tx: &mut lw_store::Tx<'_>) -> lw_core::Result<u64> {
/// tx.insert(&TAGS, [[Cell::Int(7), Cell::Text("stage"), Cell::Text("test")]].into_iter())
/// # }
/// ```
#[derive(Debug)]
pub struct Insert<const N: usize>(InsertText);

#[derive(Debug)]
pub(crate) struct InsertText {
    into: &'static str,
    n_columns: usize,
    conflict: &'static str,
    texts: [OnceLock<String>; SIZES.len()],
}

/// By how many rows at once a server is asked: eight numbers, so that eight statements are prepared and not one for each number.
const SIZES: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

impl<const N: usize> Insert<N> {
    /// `into` ends with the names of the columns; `conflict` is what follows the values and may be empty. With `DO UPDATE` no two
    /// rows of one call may have the same key.
    pub const fn new(into: &'static str, conflict: &'static str) -> Self {
        Self(InsertText { into, n_columns: N, conflict, texts: [const { OnceLock::new() }; SIZES.len()] })
    }

    pub(crate) fn text(&self) -> &InsertText {
        &self.0
    }
}

impl InsertText {
    pub(crate) fn into(&self) -> &'static str {
        self.into
    }

    pub(crate) fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// The statement for one row.
    pub(crate) fn for_one(&self) -> &str {
        self.for_most(1).1
    }

    /// The greatest number of rows, up to the given one, that a statement takes, and the statement.
    pub(crate) fn for_most(&self, n_rows: usize) -> (usize, &str) {
        let position = SIZES.iter().position(|size| *size <= n_rows).unwrap_or(SIZES.len() - 1);
        let size = SIZES[position];
        (size, self.texts[position].get_or_init(|| self.written_for(size)))
    }

    fn written_for(&self, n_rows: usize) -> String {
        let tuple = |row: usize| {
            let numbers = (row * self.n_columns + 1..=(row + 1) * self.n_columns).map(|number| format!("${number}"));
            format!("({})", numbers.collect::<Vec<_>>().join(", "))
        };
        let tuples: Vec<String> = (0..n_rows).map(tuple).collect();
        format!("{} VALUES {} {}", self.into, tuples.join(", "), self.conflict)
    }
}

impl<'a> From<&'a Scalar> for Cell<'a> {
    fn from(value: &'a Scalar) -> Self {
        match value {
            Scalar::Null => Self::Null,
            Scalar::Bool(value) => Self::Int(i64::from(*value)),
            Scalar::Int(value) => Self::Int(*value),
            Scalar::Float(value) => Self::Float(*value),
            Scalar::Text(text) => Self::Text(text),
            Scalar::Time(time) => Self::Int(time.micros()),
        }
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Cell<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<Timestamp> for Cell<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Int(time.micros())
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Versions and sequence numbers start at 1 and stay far below `i64::MAX`.
impl From<u64> for Cell<'_> {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_made_for_few_numbers_of_rows() {
        static PAIRS: Insert<2> = Insert::new("INSERT INTO pair (a, b)", "ON CONFLICT DO NOTHING");
        assert_eq!(PAIRS.text().for_one(), "INSERT INTO pair (a, b) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        let sizes: Vec<usize> = [1, 7, 8, 31, 100, 1000].into_iter().map(|n_rows| PAIRS.text().for_most(n_rows).0).collect();
        assert_eq!(sizes, [1, 4, 8, 16, 64, 128]);
        assert!(PAIRS.text().for_most(8).1.contains("($15, $16)"));
    }
}
