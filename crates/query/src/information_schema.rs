//! What there is to read: the tables of a workspace, and the two tables of the SQL standard that list them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use lw_core::{Error, Result};
use lw_engine::{Binding, Bound, TableId};

/// The catalog that clients are shown. A workspace is one.
pub(crate) const CATALOG: &str = "loopwright";
pub(crate) const TABLES: &str = "information_schema.tables";
pub(crate) const COLUMNS: &str = "information_schema.columns";

/// A table with its columns.
#[derive(Debug, Clone)]
pub struct Table {
    pub id: TableId,
    pub columns: SchemaRef,
}

impl Table {
    /// The schema in SQL's sense: the area.
    pub fn schema_name(&self) -> &'static str {
        self.id.area.as_str()
    }

    pub fn name(&self) -> &str {
        self.id.name.as_str()
    }
}

/// `information_schema.tables`: one row a table.
pub(crate) fn tables(tables: &[TableId]) -> Result<Binding> {
    let texts =
        |text: &dyn Fn(&TableId) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(tables.iter().map(text))) };
    bound(
        TABLES,
        vec![
            ("table_catalog", texts(&|_| CATALOG.to_owned())),
            ("table_schema", texts(&|table| table.area.as_str().to_owned())),
            ("table_name", texts(&|table| table.name.to_string())),
            ("table_type", texts(&|_| "BASE TABLE".to_owned())),
        ],
    )
}

/// `information_schema.columns`: one row a column of each table, at the table's newest version.
pub(crate) fn columns(tables: &[Table]) -> Result<Binding> {
    let rows: Vec<_> = tables
        .iter()
        .flat_map(|table| table.columns.fields().iter().zip(1..).map(move |(field, position)| (table, field, position)))
        .collect();
    let texts =
        |text: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..rows.len()).map(text))) };
    let positions: Int32Array = rows.iter().map(|(_, _, position)| Some(*position)).collect();
    bound(
        COLUMNS,
        vec![
            ("table_catalog", texts(&|_| CATALOG.to_owned())),
            ("table_schema", texts(&|row| rows[row].0.schema_name().to_owned())),
            ("table_name", texts(&|row| rows[row].0.name().to_owned())),
            ("column_name", texts(&|row| rows[row].1.name().clone())),
            ("ordinal_position", Arc::new(positions)),
            ("is_nullable", texts(&|row| if rows[row].1.is_nullable() { "YES" } else { "NO" }.to_owned())),
            ("data_type", texts(&|row| rows[row].1.data_type().to_string())),
        ],
    )
}

fn bound(name: &str, columns: Vec<(&str, ArrayRef)>) -> Result<Binding> {
    let batch = RecordBatch::try_from_iter(columns);
    let batch = batch.map_err(|error| Error::bug("a listing has columns of unequal length").cause(error))?;
    Ok(Binding::new(name, Bound::Batches { schema: batch.schema(), batches: vec![batch] }))
}

/// SQL's `LIKE` as drivers filter names by it: `%` is any text, `_` one character, a backslash takes the next one as it is.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    // Where to go on after a mismatch: behind the newest `%`, with one more character taken by it.
    let (mut at, mut rule, mut retry) = (0, 0, None);
    while at < text.len() {
        let (literal, width) = match pattern.get(rule) {
            Some('%') => {
                retry = Some((rule + 1, at));
                rule += 1;
                continue;
            }
            Some('\\') if rule + 1 < pattern.len() => (pattern.get(rule + 1), 2),
            other => (other, 1),
        };
        let is_any = width == 1 && literal == Some(&'_');
        if is_any || literal == text.get(at) {
            (at, rule) = (at + 1, rule + width);
            continue;
        }
        let Some((next_rule, taken)) = retry else { return false };
        retry = Some((next_rule, taken + 1));
        (at, rule) = (taken + 1, next_rule);
    }
    pattern.iter().skip(rule).all(|left| *left == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filtered_as_like_does() {
        let check = |text: &str, pattern: &str, want: bool| assert_eq!(is_like(text, pattern), want, "{text} LIKE {pattern}");
        for (text, pattern) in [
            ("flights", "flights"),
            ("flights", "%"),
            ("flights", "fl%ts"),
            ("flights", "_lights"),
            ("late_arrival", "late\\_%"),
            ("aXbXc", "%X%c"),
            ("mississippi", "m%iss%pi"),
            ("", "%%"),
        ] {
            check(text, pattern, true);
        }
        for (text, pattern) in
            [("flights", "flight"), ("flights", "Flights"), ("lateXarrival", "late\\_%"), ("", "_"), ("ab", "a"), ("a", "")]
        {
            check(text, pattern, false);
        }
    }
}
