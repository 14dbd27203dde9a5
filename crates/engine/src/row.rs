//! Single values in and out of columns, and a digest of rows.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use lw_core::{Digest, Error, Result, Scalar, Timestamp};

use crate::column_type::{canonical_batch, canonical_schema, cast_to, type_text};
use crate::failures::{BAD_VALUE, UNSUPPORTED_TYPE};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Builds a batch of canonical types from rows of values, in the order of the schema's columns. One row is as good as many.
///
/// An integer is taken where a float is asked for; a text where a timestamp (RFC 3339) or a date is. Nothing else is converted.
pub fn batch_from_rows(schema: &SchemaRef, rows: &[Vec<Scalar>]) -> Result<RecordBatch> {
    for row in rows {
        if row.len() != schema.fields().len() {
            return Err(Error::bug(format!("a row has {} values for {} columns", row.len(), schema.fields().len())));
        }
    }
    let column = |(index, field): (usize, &Arc<arrow::datatypes::Field>)| {
        column_of(field.data_type(), rows.iter().map(|row| &row[index]), rows.len())
            .map_err(|error| error.context(format_args!("column `{}`", field.name())))
    };
    let columns: Vec<ArrayRef> = schema.fields().iter().enumerate().map(column).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| BAD_VALUE.error(format!("the row does not have the columns asked for: {error}")).cause(error))
}

fn column_of<'a>(data_type: &DataType, values: impl Iterator<Item = &'a Scalar>, n_rows: usize) -> Result<ArrayRef> {
    macro_rules! build {
        ($array:ty, $convert:expr) => {{
            let mut column = Vec::with_capacity(n_rows);
            for value in values {
                column.push(if value.is_null() { None } else { Some($convert(value).ok_or_else(|| misfit(value, data_type))?) });
            }
            Arc::new(<$array>::from(column)) as ArrayRef
        }};
    }
    Ok(match data_type {
        DataType::Boolean => build!(BooleanArray, as_bool),
        DataType::Int32 => build!(Int32Array, |value| as_int(value).and_then(|value| i32::try_from(value).ok())),
        DataType::Int64 => build!(Int64Array, as_int),
        DataType::Float32 => build!(Float32Array, |value| as_float(value).map(|value| value as f32)),
        DataType::Float64 => build!(Float64Array, as_float),
        DataType::Utf8 => build!(StringArray, Scalar::as_str),
        DataType::Date32 => build!(Date32Array, as_days),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let column = build!(TimestampMicrosecondArray, |value| as_time(value).map(Timestamp::micros));
            cast_to(&column, data_type)?
        }
        other => return Err(UNSUPPORTED_TYPE.error(format!("single values of type {other} are not supported"))),
    })
}

fn misfit(value: &Scalar, data_type: &DataType) -> Error {
    let shown = match value {
        Scalar::Text(text) => format!("{:?}", text.chars().take(80).collect::<String>()),
        Scalar::Time(time) => time.to_string(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Float(value) => value.to_string(),
        Scalar::Null => "null".to_owned(),
    };
    BAD_VALUE.error(format!("{shown} is not a {}", type_text(data_type)))
}

fn as_bool(value: &Scalar) -> Option<bool> {
    if let Scalar::Bool(value) = value { Some(*value) } else { None }
}

fn as_int(value: &Scalar) -> Option<i64> {
    if let Scalar::Int(value) = value { Some(*value) } else { None }
}

fn as_float(value: &Scalar) -> Option<f64> {
    match value {
        Scalar::Int(value) => Some(*value as f64),
        Scalar::Float(value) => Some(*value),
        _ => None,
    }
}

fn as_time(value: &Scalar) -> Option<Timestamp> {
    match value {
        Scalar::Time(time) => Some(*time),
        Scalar::Text(text) => Timestamp::parse(text).ok(),
        _ => None,
    }
}

fn as_days(value: &Scalar) -> Option<i32> {
    let time = as_time(value)?;
    if time.micros().rem_euclid(MICROS_PER_DAY) != 0 {
        return None;
    }
    i32::try_from(time.micros().div_euclid(MICROS_PER_DAY)).ok()
}

/// One value of a column of canonical type. A date becomes midnight UTC.
pub fn scalar_at(column: &ArrayRef, row_index: usize) -> Result<Scalar> {
    if column.is_null(row_index) {
        return Ok(Scalar::Null);
    }
    Ok(match column.data_type() {
        DataType::Boolean => Scalar::Bool(column.as_boolean().value(row_index)),
        DataType::Int32 => Scalar::Int(column.as_primitive::<Int32Type>().value(row_index).into()),
        DataType::Int64 => Scalar::Int(column.as_primitive::<Int64Type>().value(row_index)),
        DataType::Float32 => Scalar::Float(column.as_primitive::<Float32Type>().value(row_index).into()),
        DataType::Float64 => Scalar::Float(column.as_primitive::<Float64Type>().value(row_index)),
        DataType::Utf8 => Scalar::Text(column.as_string::<i32>().value(row_index).to_owned()),
        DataType::Date32 => {
            let days = i64::from(column.as_primitive::<Date32Type>().value(row_index));
            Scalar::Time(Timestamp::from_micros(days * MICROS_PER_DAY))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Scalar::Time(Timestamp::from_micros(column.as_primitive::<TimestampMicrosecondType>().value(row_index)))
        }
        other => return Err(UNSUPPORTED_TYPE.error(format!("single values of type {other} are not supported"))),
    })
}

/// The digest of rows in their order: column names, canonical types and values. How the rows are cut into batches does not
/// matter, so a training set that is built again from the same facts has the same digest, whatever its files are called.
#[tracing::instrument(level = "debug", skip_all)]
pub fn content_digest(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Digest> {
    let schema = canonical_schema(schema);
    let columns: Vec<_> = schema.fields().iter().map(|field| (field.name(), field.data_type().to_string())).collect();
    let mut chain = Digest::of_json(&columns).as_bytes().to_vec();
    for batch in batches {
        let batch = canonical_batch(batch, &schema)?;
        for row_index in 0..batch.num_rows() {
            for column in batch.columns() {
                append_value(&mut chain, column, row_index)?;
            }
            if chain.len() >= DIGEST_BLOCK_BYTES {
                chain = Digest::of(&chain).as_bytes().to_vec();
            }
        }
    }
    Ok(Digest::of(&chain))
}

/// Rows are hashed in chained blocks of at least this size; a block ends with a row, so batch borders leave no trace.
const DIGEST_BLOCK_BYTES: usize = 1 << 20;

/// One byte for NULL or not, then the value in little-endian order; text is preceded by its length.
fn append_value(bytes: &mut Vec<u8>, column: &ArrayRef, row_index: usize) -> Result<()> {
    if column.is_null(row_index) {
        bytes.push(0);
        return Ok(());
    }
    bytes.push(1);
    match column.data_type() {
        DataType::Boolean => bytes.push(column.as_boolean().value(row_index).into()),
        DataType::Int32 => bytes.extend(column.as_primitive::<Int32Type>().value(row_index).to_le_bytes()),
        DataType::Int64 => bytes.extend(column.as_primitive::<Int64Type>().value(row_index).to_le_bytes()),
        DataType::Float32 => bytes.extend(column.as_primitive::<Float32Type>().value(row_index).to_le_bytes()),
        DataType::Float64 => bytes.extend(column.as_primitive::<Float64Type>().value(row_index).to_le_bytes()),
        DataType::Date32 => bytes.extend(column.as_primitive::<Date32Type>().value(row_index).to_le_bytes()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            bytes.extend(column.as_primitive::<TimestampMicrosecondType>().value(row_index).to_le_bytes());
        }
        DataType::Utf8 => {
            let text = column.as_string::<i32>().value(row_index);
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        other => return Err(UNSUPPORTED_TYPE.error(format!("rows with a column of type {other} have no digest"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::column_type::to_arrow;

    fn schema() -> SchemaRef {
        use lw_core::DataType::*;
        let types = [("b", Boolean), ("i", Int32), ("f", Float64), ("s", String), ("d", Date), ("t", Timestamp)];
        Arc::new(Schema::new(types.map(|(name, data_type)| Field::new(name, to_arrow(data_type), true)).to_vec()))
    }

    fn row(time: &str) -> Vec<Scalar> {
        vec![true.into(), 7_i64.into(), 2_i64.into(), "x".into(), "2013-01-02".into(), time.into()]
    }

    #[test]
    fn values_survive_the_way_into_columns_and_back() {
        let batch = batch_from_rows(&schema(), &[row("2013-01-02T03:04:05.000006Z"), vec![Scalar::Null; 6]]).unwrap();
        let got: Vec<_> = batch.columns().iter().map(|column| scalar_at(column, 0).unwrap()).collect();
        let date = Timestamp::parse("2013-01-02").unwrap();
        let time = Timestamp::parse("2013-01-02T03:04:05.000006Z").unwrap();
        let want: Vec<Scalar> = vec![true.into(), 7_i64.into(), 2.0.into(), "x".into(), date.into(), time.into()];
        assert_eq!(got, want);
        assert!(batch.columns().iter().all(|column| scalar_at(column, 1).unwrap().is_null()));
    }

    #[test]
    fn a_value_of_another_type_names_its_column() {
        for (index, value) in [(1, Scalar::Float(1.5)), (1, Scalar::Int(1 << 40)), (3, Scalar::Int(1)), (5, "soon".into())] {
            let mut bad = row("2013-01-02");
            bad[index] = value;
            let error = batch_from_rows(&schema(), &[bad]).unwrap_err();
            assert!(error.is(BAD_VALUE) && error.message().starts_with("column `"), "{error}");
        }
    }

    #[test]
    fn a_content_digest_does_not_see_batch_borders() {
        let rows = [row("2013-01-02"), row("2013-01-03")];
        let whole = batch_from_rows(&schema(), &rows).unwrap();
        let halves = [whole.slice(0, 1), whole.slice(1, 1)];
        let digest = content_digest(&schema(), &[whole]).unwrap();
        assert_eq!(content_digest(&schema(), &halves).unwrap(), digest);
        let swapped = [halves[1].clone(), halves[0].clone()];
        assert_ne!(content_digest(&schema(), &swapped).unwrap(), digest);
    }
}
