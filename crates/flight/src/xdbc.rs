//! The types of columns as JDBC and ODBC number them.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, SchemaRef};
use lw_core::Result;

use crate::command::GetXdbcTypeInfo;
use crate::metadata::{batch_of, schema_of};

struct Type {
    name: &'static str,
    number: i32,
    /// Digits, characters or bits.
    size: i32,
    quote: Option<&'static str>,
    /// The base of `size`, for numbers.
    radix: Option<i32>,
}

/// What columns of tables can be, in the order of their numbers.
const TYPES: &[Type] = &[
    Type { name: "VARCHAR", number: 12, size: i32::MAX, quote: Some("'"), radix: None },
    Type { name: "DATE", number: 91, size: 10, quote: Some("'"), radix: None },
    Type { name: "TIMESTAMP", number: 93, size: 27, quote: Some("'"), radix: None },
    Type { name: "BIGINT", number: -5, size: 64, quote: None, radix: Some(2) },
    Type { name: "INTEGER", number: 4, size: 32, quote: None, radix: Some(2) },
    Type { name: "REAL", number: 7, size: 24, quote: None, radix: Some(2) },
    Type { name: "DOUBLE", number: 8, size: 53, quote: None, radix: Some(2) },
    Type { name: "DECIMAL", number: 3, size: 38, quote: None, radix: Some(10) },
    Type { name: "BOOLEAN", number: -7, size: 1, quote: None, radix: None },
    Type { name: "VARBINARY", number: -3, size: i32::MAX, quote: None, radix: None },
];
const NULLABLE: i32 = 1;
/// Usable in every comparison.
const SEARCHABLE: i32 = 3;

pub fn schema() -> SchemaRef {
    let parameters = DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)));
    schema_of(&[
        ("type_name", DataType::Utf8, false),
        ("data_type", DataType::Int32, false),
        ("column_size", DataType::Int32, true),
        ("literal_prefix", DataType::Utf8, true),
        ("literal_suffix", DataType::Utf8, true),
        ("create_params", parameters, true),
        ("nullable", DataType::Int32, false),
        ("case_sensitive", DataType::Boolean, false),
        ("searchable", DataType::Int32, false),
        ("unsigned_attribute", DataType::Boolean, true),
        ("fixed_prec_scale", DataType::Boolean, false),
        ("auto_increment", DataType::Boolean, true),
        ("local_type_name", DataType::Utf8, true),
        ("minimum_scale", DataType::Int32, true),
        ("maximum_scale", DataType::Int32, true),
        ("sql_data_type", DataType::Int32, false),
        ("datetime_subcode", DataType::Int32, true),
        ("num_prec_radix", DataType::Int32, true),
        ("interval_precision", DataType::Int32, true),
    ])
}

pub fn answer(asked: &GetXdbcTypeInfo) -> Result<RecordBatch> {
    let mut types: Vec<&Type> = TYPES.iter().filter(|known| asked.data_type.is_none_or(|asked| asked == known.number)).collect();
    types.sort_by_key(|known| known.number);
    let schema = schema();
    let columns = schema.fields().iter().map(|field| column(field, &types)).collect();
    batch_of(schema, columns)
}

fn column(field: &Field, types: &[&Type]) -> ArrayRef {
    let numbers = |of: &dyn Fn(&Type) -> Option<i32>| Arc::new(types.iter().map(|known| of(known)).collect::<Int32Array>());
    let texts =
        |of: &dyn Fn(&Type) -> Option<&'static str>| Arc::new(types.iter().map(|known| of(known)).collect::<StringArray>());
    match field.name().as_str() {
        "type_name" | "local_type_name" => texts(&|known| Some(known.name)),
        "data_type" | "sql_data_type" => numbers(&|known| Some(known.number)),
        "column_size" => numbers(&|known| Some(known.size)),
        "literal_prefix" | "literal_suffix" => texts(&|known| known.quote),
        "nullable" => numbers(&|_| Some(NULLABLE)),
        "searchable" => numbers(&|_| Some(SEARCHABLE)),
        "num_prec_radix" => numbers(&|known| known.radix),
        "case_sensitive" => Arc::new(types.iter().map(|known| Some(known.quote.is_some())).collect::<BooleanArray>()),
        "fixed_prec_scale" => Arc::new(types.iter().map(|_| Some(false)).collect::<BooleanArray>()),
        _ => new_null_array(field.data_type(), types.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_fit_the_columns_that_flight_sql_names() {
        assert_eq!(answer(&GetXdbcTypeInfo::default()).unwrap().num_rows(), TYPES.len());
        assert_eq!(answer(&GetXdbcTypeInfo { data_type: Some(-5) }).unwrap().num_rows(), 1);
        assert_eq!(answer(&GetXdbcTypeInfo { data_type: Some(77) }).unwrap().num_rows(), 0);
    }
}
