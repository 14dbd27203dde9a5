//! The types that rows have between crates, and their names in definitions.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, SchemaRef, TimeUnit};
use lw_core::{DataType, Field, Result, Schema};

use crate::failures::{QUERY_FAILED, UNSUPPORTED_TYPE};

/// The arrow type that a column of a definition's type has.
pub fn to_arrow(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Boolean => ArrowType::Boolean,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float32 => ArrowType::Float32,
        DataType::Float64 => ArrowType::Float64,
        DataType::String => ArrowType::Utf8,
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp => timestamp_type(),
    }
}

/// `Timestamp(Microsecond, "UTC")`: an instant. The only timestamp type past ingestion.
pub(crate) fn timestamp_type() -> ArrowType {
    ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The name that a definition gives to an arrow type; fails for types that definitions cannot name (lists, structs, intervals).
pub fn from_arrow(data_type: &ArrowType) -> Result<DataType> {
    Ok(match canonical_type(data_type) {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int32 => DataType::Int32,
        ArrowType::Int64 => DataType::Int64,
        ArrowType::Float32 => DataType::Float32,
        ArrowType::Float64 => DataType::Float64,
        ArrowType::Utf8 => DataType::String,
        ArrowType::Date32 => DataType::Date,
        ArrowType::Timestamp(..) => DataType::Timestamp,
        other => {
            return Err(UNSUPPORTED_TYPE.error(format!("a column cannot have the type {other}")).hint(
                "the types are boolean, int32, int64, float32, float64, string, date and timestamp; use CAST or date_part",
            ));
        }
    })
}

pub fn to_arrow_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.0.iter().map(|field| ArrowField::new(&field.name, to_arrow(field.data_type), field.nullable));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

pub fn from_arrow_schema(schema: &ArrowSchema) -> Result<Schema> {
    let field = |field: &Arc<ArrowField>| {
        let data_type =
            from_arrow(field.data_type()).map_err(|error| error.context(format_args!("column `{}`", field.name())))?;
        Ok(Field { name: field.name().clone(), data_type, nullable: field.is_nullable() })
    };
    schema.fields().iter().map(field).collect::<Result<_>>().map(Schema)
}

/// How a type reads in a message: by its name in definitions where it has one.
pub(crate) fn type_text(data_type: &ArrowType) -> String {
    match data_type {
        ArrowType::Timestamp(_, None) => "timestamp without a zone".to_owned(),
        other => from_arrow(other).map_or_else(|_| other.to_string(), |named| named.to_string()),
    }
}

/// The one type that stands for all physical forms of a value.
///
/// Strings become `Utf8`, timestamps `Timestamp(Microsecond, "UTC")` (one without a zone is taken as UTC), narrow and unsigned
/// integers `Int32` or `Int64`, `Date64` becomes `Date32`; dictionaries give way to their values. Other types stay.
pub fn canonical_type(data_type: &ArrowType) -> ArrowType {
    match data_type {
        ArrowType::Utf8View | ArrowType::LargeUtf8 => ArrowType::Utf8,
        ArrowType::Dictionary(_, values) => canonical_type(values),
        ArrowType::Timestamp(..) => timestamp_type(),
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::UInt8 | ArrowType::UInt16 => ArrowType::Int32,
        ArrowType::UInt32 | ArrowType::UInt64 => ArrowType::Int64,
        ArrowType::Float16 => ArrowType::Float32,
        ArrowType::Date64 => ArrowType::Date32,
        ArrowType::BinaryView | ArrowType::LargeBinary => ArrowType::Binary,
        other => other.clone(),
    }
}

/// The schema with canonical types and no metadata.
pub fn canonical_schema(schema: &ArrowSchema) -> SchemaRef {
    let field = |field: &Arc<ArrowField>| ArrowField::new(field.name(), canonical_type(field.data_type()), field.is_nullable());
    Arc::new(ArrowSchema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// The same rows with canonical types, under a schema from [`canonical_schema`]. Columns that are canonical already are shared.
pub fn canonical_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    batch_as(batch, schema)
}

/// The same columns, each cast to the type that the schema gives it.
pub(crate) fn batch_as(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| cast_to(column, field.data_type()))
        .collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| QUERY_FAILED.error(format!("the rows do not have the planned columns: {error}")).cause(error))
}

/// Casts with an error, never a silent NULL, for a value that does not fit.
pub(crate) fn cast_to(column: &ArrayRef, data_type: &ArrowType) -> Result<ArrayRef> {
    if column.data_type() == data_type {
        return Ok(column.clone());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, data_type, &options).map_err(|error| {
        let message = format!("a {} value does not fit {}", type_text(column.data_type()), type_text(data_type));
        QUERY_FAILED.error(message).cause(error)
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, TimestampSecondArray, UInt64Array};

    use super::*;

    #[test]
    fn types_survive_the_way_to_arrow_and_back() {
        use DataType::*;
        for data_type in [Boolean, Int32, Int64, Float32, Float64, String, Date, Timestamp] {
            assert_eq!(from_arrow(&to_arrow(data_type)).unwrap(), data_type);
        }
        let error = from_arrow(&ArrowType::Duration(TimeUnit::Second)).unwrap_err();
        assert!(error.is(UNSUPPORTED_TYPE));
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error() {
        let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
        assert!(cast_to(&large, &ArrowType::Int64).is_err());
        let small: ArrayRef = Arc::new(UInt64Array::from(vec![7]));
        let cast = cast_to(&small, &ArrowType::Int64).unwrap();
        assert_eq!(cast.as_any().downcast_ref::<Int64Array>().unwrap().value(0), 7);
    }

    #[test]
    fn timestamps_become_utc_microseconds() {
        let zoned: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1]).with_timezone("America/New_York"));
        let cast = cast_to(&zoned, &canonical_type(zoned.data_type())).unwrap();
        assert_eq!(cast.data_type(), &timestamp_type());
        assert_eq!(crate::scalar_at(&cast, 0).unwrap(), lw_core::Scalar::Time(lw_core::Timestamp::from_millis(1000)));
    }
}
