//! Entity keys as bytes: equal entities have equal keys, and no two different ones share a key.

use arrow::array::{Array, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use lw_core::{DataType, Error, Field, Result, Scalar};

use crate::failures::BAD_ENTITY_KEY;

/// How a view's entity is written: a prefix for the view, then each part.
///
/// Text is its length in four bytes and itself, so that (`1`, `23`) and (`12`, `3`) differ; integers and times are eight bytes;
/// booleans one. All numbers are little-endian. An entity with a null part has no key: null equals nothing, as in a join.
#[derive(Debug, Clone)]
pub struct EntityKeys {
    prefix: Box<[u8]>,
    parts: Box<[Field]>,
}

impl EntityKeys {
    /// `view` is the view's name and version.
    pub fn new(view: &str, entity: &[Field]) -> Self {
        let mut prefix = Vec::with_capacity(view.len() + 2);
        write_text(view, &mut prefix);
        Self { prefix: prefix.into(), parts: entity.into() }
    }

    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Appends the key of an entity given value by value. Returns false, with nothing of use written, if a part is null.
    pub fn write(&self, values: &[Scalar], out: &mut Vec<u8>) -> Result<bool> {
        if values.len() != self.parts.len() {
            let names = self.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(BAD_ENTITY_KEY
                .error(format!("a key of {} parts does not fit an entity of {}", values.len(), self.parts.len()))
                .hint(format!("give {names} in this order")));
        }
        out.extend_from_slice(&self.prefix);
        for (part, value) in self.parts.iter().zip(values) {
            match (part.data_type, value) {
                (_, Scalar::Null) => return Ok(false),
                (DataType::String, Scalar::Text(text)) => write_text(text, out),
                (DataType::Int32 | DataType::Int64, Scalar::Int(value)) => out.extend_from_slice(&value.to_le_bytes()),
                (DataType::Timestamp, Scalar::Time(time)) => out.extend_from_slice(&time.micros().to_le_bytes()),
                (DataType::Boolean, Scalar::Bool(value)) => out.push(u8::from(*value)),
                _ => return Err(wrong_type(part, value)),
            }
        }
        Ok(true)
    }

    /// The key columns of a batch, made ready to be read row by row.
    pub fn columns<'a>(&self, batch: &'a RecordBatch) -> Result<KeyColumns<'a>> {
        let column = |part: &Field| {
            let array = batch.column_by_name(&part.name).ok_or_else(|| Error::bug(format!("no key column `{}`", part.name)))?;
            KeyColumn::new(array.as_ref())
                .ok_or_else(|| Error::bug(format!("key column `{}` has the type {}", part.name, array.data_type())))
        };
        Ok(KeyColumns { prefix: self.prefix.clone(), columns: self.parts.iter().map(column).collect::<Result<_>>()? })
    }
}

/// See [`EntityKeys::columns`].
pub struct KeyColumns<'a> {
    prefix: Box<[u8]>,
    columns: Vec<KeyColumn<'a>>,
}

enum KeyColumn<'a> {
    Boolean(&'a BooleanArray),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Text(&'a StringArray),
    Time(&'a TimestampMicrosecondArray),
}

impl KeyColumns<'_> {
    /// Appends the key of a row. The row must have no null among its key columns.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        for column in &self.columns {
            match column {
                KeyColumn::Boolean(values) => out.push(u8::from(values.value(row))),
                KeyColumn::Int32(values) => out.extend_from_slice(&i64::from(values.value(row)).to_le_bytes()),
                KeyColumn::Int64(values) => out.extend_from_slice(&values.value(row).to_le_bytes()),
                KeyColumn::Text(values) => write_text(values.value(row), out),
                KeyColumn::Time(values) => out.extend_from_slice(&values.value(row).to_le_bytes()),
            }
        }
    }
}

impl<'a> KeyColumn<'a> {
    fn new(array: &'a dyn Array) -> Option<Self> {
        let array = array.as_any();
        None.or_else(|| array.downcast_ref().map(Self::Text))
            .or_else(|| array.downcast_ref().map(Self::Int64))
            .or_else(|| array.downcast_ref().map(Self::Int32))
            .or_else(|| array.downcast_ref().map(Self::Time))
            .or_else(|| array.downcast_ref().map(Self::Boolean))
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let length = u32::try_from(text.len()).expect("a text in memory is shorter than 4 GiB in every table and request");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn wrong_type(part: &Field, value: &Scalar) -> Error {
    let found = match value {
        Scalar::Null => "null",
        Scalar::Bool(_) => "a boolean",
        Scalar::Int(_) => "an integer",
        Scalar::Float(_) => "a number with a fraction",
        Scalar::Text(_) => "a text",
        Scalar::Time(_) => "a timestamp",
    };
    BAD_ENTITY_KEY
        .error(format!("entity column `{}` is {found}, but the view has it as {}", part.name, part.data_type))
        .hint(format!("send `{}` as {}", part.name, part.data_type))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn keys(types: &[DataType]) -> EntityKeys {
        let field =
            |(index, data_type): (usize, &DataType)| Field { name: format!("k{index}"), data_type: *data_type, nullable: true };
        EntityKeys::new("view@1", &types.iter().enumerate().map(field).collect::<Vec<_>>())
    }

    fn key(types: &[DataType], values: &[Scalar]) -> Vec<u8> {
        let mut bytes = Vec::new();
        assert!(keys(types).write(values, &mut bytes).unwrap());
        bytes
    }

    #[test]
    fn parts_cannot_run_into_each_other() {
        let two = [DataType::String, DataType::String];
        assert_ne!(key(&two, &["1".into(), "23".into()]), key(&two, &["12".into(), "3".into()]));
        assert_ne!(key(&two, &["".into(), "a".into()]), key(&two, &["a".into(), "".into()]));
    }

    #[test]
    fn a_key_from_a_batch_equals_one_from_values() {
        let batch = RecordBatch::try_from_iter([
            ("k0", Arc::new(StringArray::from(vec!["JFK"])) as _),
            ("k1", Arc::new(Int32Array::from(vec![7])) as _),
            ("k2", Arc::new(BooleanArray::from(vec![true])) as _),
        ])
        .unwrap();
        let types = [DataType::String, DataType::Int32, DataType::Boolean];
        let mut from_batch = Vec::new();
        keys(&types).columns(&batch).unwrap().write(0, &mut from_batch);
        assert_eq!(from_batch, key(&types, &["JFK".into(), Scalar::Int(7), Scalar::Bool(true)]));
    }

    #[test]
    fn a_null_part_has_no_key_and_a_wrong_one_is_an_error() {
        let one = keys(&[DataType::String]);
        assert!(!one.write(&[Scalar::Null], &mut Vec::new()).unwrap());
        let error = one.write(&[Scalar::Int(1)], &mut Vec::new()).unwrap_err();
        assert_eq!(error.message(), "entity column `k0` is an integer, but the view has it as string");
        assert!(one.write(&[], &mut Vec::new()).unwrap_err().is(BAD_ENTITY_KEY));
    }
}
