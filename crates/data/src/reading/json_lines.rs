//! One JSON object a line. Values become text; a string without its quotes, all else as written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use arrow::array::{ArrayBuilder, RecordBatch, StringBuilder};
use lw_core::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::columns::{check_missing, check_number, table_name};
use super::{CHUNK_ROWS, Snapshot, TextColumns, place};
use crate::SourceDefinition;
use crate::failures::SOURCE_FILE_UNREADABLE;

pub(super) fn read(snapshot: &Snapshot, source: &SourceDefinition) -> Result<Vec<RecordBatch>> {
    let path = &snapshot.path;
    let mut rows = Rows { source, path, columns: TextColumns::new(Vec::new()), index_of: HashMap::new() };
    let mut n_rows = 0_u64;
    for (line, bytes) in (1_u64..).zip(snapshot.bytes.split(|byte| *byte == b'\n')) {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        rows.add(bytes, line)?;
        n_rows += 1;
    }
    if n_rows > 0 {
        let found: Vec<String> = rows.index_of.keys().cloned().collect();
        check_missing(source, &found, path)?;
    }
    rows.columns.finish()
}

struct Rows<'s> {
    source: &'s SourceDefinition,
    path: &'s str,
    columns: TextColumns,
    /// The column of each name that a line has had.
    index_of: HashMap<String, usize>,
}

impl Rows<'_> {
    fn add(&mut self, bytes: &[u8], line: u64) -> Result<()> {
        let text = std::str::from_utf8(bytes).map_err(|error| self.broken(line, "the line is not UTF-8").cause(error))?;
        let object: Object<'_> = serde_json::from_str(text).map_err(|error| self.no_object(line, error))?;
        let row_index = self.columns.n_rows;
        for (name, value) in object.0 {
            let index = self.column(&name, line)?;
            let builder = &mut self.columns.builders[index];
            if builder.len() > row_index {
                return Err(self.broken(line, &format!("the name `{name}` stands twice")));
            }
            append(builder, value)
                .map_err(|error| self.broken(line, &format!("the value of `{name}` is not JSON")).cause(error))?;
        }
        for builder in self.columns.builders.iter_mut().filter(|builder| builder.len() == row_index) {
            builder.append_null();
        }
        self.columns.end_row()
    }

    fn column(&mut self, name: &str, line: u64) -> Result<usize> {
        if let Some(index) = self.index_of.get(name) {
            return Ok(*index);
        }
        check_number(self.columns.names.len() + 1, self.path).map_err(|error| error.at(place(self.path, Some(line))))?;
        let table_name =
            table_name(self.source, name, None, self.path).map_err(|error| error.at(place(self.path, Some(line))))?;
        let mut builder = StringBuilder::with_capacity(CHUNK_ROWS.min(1_024), 0);
        (0..self.columns.n_rows).for_each(|_| builder.append_null());
        self.columns.names.push(table_name);
        self.columns.builders.push(builder);
        let index = self.columns.names.len() - 1;
        self.index_of.insert(name.to_owned(), index);
        Ok(index)
    }

    fn no_object(&self, line: u64, error: serde_json::Error) -> Error {
        // The parser saw this line alone, so its "line 1" would mislead.
        let told = error.to_string();
        let why = told.split_once(" at line ").map_or(told.as_str(), |(why, _)| why);
        self.broken(line, &format!("the line is not a JSON object: {why} at column {}", error.column())).cause(error)
    }

    fn broken(&self, line: u64, message: &str) -> Error {
        SOURCE_FILE_UNREADABLE
            .error(message)
            .hint("JSON Lines has one object on each line, such as {\"id\": 1}; a last line that breaks off is cut off")
            .at(place(self.path, Some(line)))
    }
}

fn append(builder: &mut StringBuilder, value: &RawValue) -> serde_json::Result<()> {
    let raw = value.get();
    if raw == "null" {
        builder.append_null();
    } else if raw.starts_with('"') {
        let text: Text<'_> = serde_json::from_str(raw)?;
        builder.append_value(text.0);
    } else {
        builder.append_value(raw);
    }
    Ok(())
}

/// Borrows where the text has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Names and raw values in the order of the line, repeated names included.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Object<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    pairs.push((name.0, value));
                }
                Ok(Object(pairs))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}
