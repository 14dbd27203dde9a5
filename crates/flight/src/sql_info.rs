//! What this server says of itself, under the numbers that Flight SQL gives to each fact.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array, UnionArray, new_empty_array,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Fields, SchemaRef, UnionFields, UnionMode};
use lw_core::{Error, Result};

use crate::command::GetSqlInfo;
use crate::metadata::{batch_of, schema_of};

enum Fact {
    Text(&'static str),
    Flag(bool),
    Number(i64),
    Bits(i32),
}

/// Numbers and facts, in order. Names in comments are the specification's.
const FACTS: &[(u32, Fact)] = &[
    (0, Fact::Text("Loopwright")),              // FLIGHT_SQL_SERVER_NAME
    (1, Fact::Text(env!("CARGO_PKG_VERSION"))), // FLIGHT_SQL_SERVER_VERSION
    (2, Fact::Text(arrow::ARROW_VERSION)),      // FLIGHT_SQL_SERVER_ARROW_VERSION
    (3, Fact::Flag(true)),                      // FLIGHT_SQL_SERVER_READ_ONLY
    (4, Fact::Flag(true)),                      // FLIGHT_SQL_SERVER_SQL
    (5, Fact::Flag(false)),                     // FLIGHT_SQL_SERVER_SUBSTRAIT
    (8, Fact::Bits(0)),                         // FLIGHT_SQL_SERVER_TRANSACTION: none
    (9, Fact::Flag(true)),                      // FLIGHT_SQL_SERVER_CANCEL
    (10, Fact::Flag(false)),                    // FLIGHT_SQL_SERVER_BULK_INGESTION
    (100, Fact::Bits(300_000)),                 // FLIGHT_SQL_SERVER_STATEMENT_TIMEOUT, in milliseconds
    (101, Fact::Bits(0)),                       // FLIGHT_SQL_SERVER_TRANSACTION_TIMEOUT
    (500, Fact::Flag(false)),                   // SQL_DDL_CATALOG
    (501, Fact::Flag(false)),                   // SQL_DDL_SCHEMA
    (502, Fact::Flag(false)),                   // SQL_DDL_TABLE
    (503, Fact::Number(3)),                     // SQL_IDENTIFIER_CASE: folded to lower case
    (504, Fact::Text("\"")),                    // SQL_IDENTIFIER_QUOTE_CHAR
    (506, Fact::Flag(true)),                    // SQL_ALL_TABLES_ARE_SELECTABLE
];

pub fn schema() -> SchemaRef {
    schema_of(&[("info_name", DataType::UInt32, false), ("value", DataType::Union(union_fields(), UnionMode::Dense), false)])
}

/// The facts that are asked for, or all of them.
pub fn answer(asked: &GetSqlInfo) -> Result<RecordBatch> {
    let facts = FACTS.iter().filter(|(number, _)| asked.info.is_empty() || asked.info.contains(number));
    let (mut numbers, mut kinds, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut texts, mut flags, mut longs, mut bits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (number, fact) in facts {
        numbers.push(*number);
        let (kind, n_values) = match fact {
            Fact::Text(text) => (0_i8, put(&mut texts, *text)),
            Fact::Flag(flag) => (1, put(&mut flags, *flag)),
            Fact::Number(long) => (2, put(&mut longs, *long)),
            Fact::Bits(mask) => (3, put(&mut bits, *mask)),
        };
        kinds.push(kind);
        offsets.push(i32::try_from(n_values - 1).unwrap_or(i32::MAX));
    }
    let mut children: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts)),
        Arc::new(BooleanArray::from(flags)),
        Arc::new(Int64Array::from(longs)),
        Arc::new(Int32Array::from(bits)),
    ];
    let unused = union_fields();
    children.extend(unused.iter().skip(children.len()).map(|(_, field)| new_empty_array(field.data_type())));
    let values = UnionArray::try_new(union_fields(), ScalarBuffer::from(kinds), Some(ScalarBuffer::from(offsets)), children);
    let values = values.map_err(|error| Error::bug("facts about the server do not fit their types").cause(error))?;
    batch_of(schema(), vec![Arc::new(UInt32Array::from(numbers)), Arc::new(values)])
}

fn put<T>(values: &mut Vec<T>, value: T) -> usize {
    values.push(value);
    values.len()
}

fn union_fields() -> UnionFields {
    let item = |data_type| Arc::new(Field::new("item", data_type, true));
    let numbers = DataType::List(item(DataType::Int32));
    let entry = Fields::from(vec![Field::new("key", DataType::Int32, false), Field::new("value", numbers, true)]);
    let entries = Arc::new(Field::new("entries", DataType::Struct(entry), false));
    [
        (0, Arc::new(Field::new("string_value", DataType::Utf8, false))),
        (1, Arc::new(Field::new("bool_value", DataType::Boolean, false))),
        (2, Arc::new(Field::new("bigint_value", DataType::Int64, false))),
        (3, Arc::new(Field::new("int32_bitmask", DataType::Int32, false))),
        (4, Arc::new(Field::new("string_list", DataType::List(item(DataType::Utf8)), true))),
        (5, Arc::new(Field::new("int32_to_int32_list_map", DataType::Map(entries, false), true))),
    ]
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_found_by_number() {
        assert_eq!(answer(&GetSqlInfo::default()).unwrap().num_rows(), FACTS.len());
        let some = answer(&GetSqlInfo { info: vec![3, 0, 999] }).unwrap();
        let numbers = some.column(0).as_any().downcast_ref::<UInt32Array>().unwrap();
        assert_eq!(numbers.values(), &[0, 3]);
        let values = some.column(1).as_any().downcast_ref::<UnionArray>().unwrap();
        let name = values.value(0);
        assert_eq!(name.as_any().downcast_ref::<StringArray>().unwrap().value(0), "Loopwright");
    }
}
