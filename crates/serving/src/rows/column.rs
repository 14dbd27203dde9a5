//! One column while a request is read: the single place that decides which value a field accepts.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Date32Builder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use lw_core::{DataType, Error, Timestamp};
use lw_engine::to_arrow;

use crate::RequestField;
use crate::failures::INVALID_REQUEST;
use crate::request::{MAX_TEXT_BYTES, example};

/// A value as a caller wrote it, before it is known to fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Null,
    Boolean(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    /// Microseconds since 1970: how a typed tensor carries a time.
    Micros(i64),
}

/// Collects the values of one field.
#[derive(Debug)]
pub enum ColumnBuilder {
    Boolean(BooleanBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    Date(Date32Builder),
    Time(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    pub fn new(data_type: DataType, capacity: usize) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(capacity)),
            DataType::Int32 => Self::Int32(Int32Builder::with_capacity(capacity)),
            DataType::Int64 => Self::Int64(Int64Builder::with_capacity(capacity)),
            DataType::Float32 => Self::Float32(Float32Builder::with_capacity(capacity)),
            DataType::Float64 => Self::Float64(Float64Builder::with_capacity(capacity)),
            DataType::String => Self::Text(StringBuilder::with_capacity(capacity, 8 * capacity)),
            DataType::Date => Self::Date(Date32Builder::with_capacity(capacity)),
            DataType::Timestamp => {
                let builder = TimestampMicrosecondBuilder::with_capacity(capacity);
                Self::Time(builder.with_timezone("UTC"))
            }
        }
    }

    /// Adds a value, or says why the field does not take it.
    pub fn push(&mut self, value: Value<'_>, field: &RequestField) -> Result<(), Error> {
        match (&mut *self, value) {
            (_, Value::Null) if field.required => return Err(null(field)),
            (_, Value::Null) => self.push_null(),
            (Self::Boolean(builder), Value::Boolean(value)) => builder.append_value(value),
            (Self::Int32(builder), value) => {
                builder.append_value(i32::try_from(whole(value, field)?).map_err(|_| too_big(field))?)
            }
            (Self::Int64(builder), value) => builder.append_value(whole(value, field)?),
            (Self::Float32(builder), value) => {
                let number = number(value, field)?;
                if number.is_finite() && number.abs() > f64::from(f32::MAX) {
                    return Err(too_big(field));
                }
                builder.append_value(number as f32);
            }
            (Self::Float64(builder), value) => builder.append_value(number(value, field)?),
            (Self::Text(builder), Value::Text(text)) => builder.append_value(short(text, field)?),
            (Self::Date(builder), Value::Text(text)) => {
                let midnight = Timestamp::parse(short(text, field)?).ok().filter(|_| text.len() == 10);
                let midnight = midnight.ok_or_else(|| wrong_type(value, field))?;
                builder.append_value(day(midnight.micros()));
            }
            (Self::Time(builder), Value::Text(text)) => {
                let time = Timestamp::parse(short(text, field)?).map_err(|_| not_a_time(text, field))?;
                builder.append_value(time.micros());
            }
            (Self::Time(builder), Value::Micros(micros)) => builder.append_value(micros),
            (Self::Date(builder), Value::Micros(micros)) => builder.append_value(day(micros)),
            (_, value) => return Err(wrong_type(value, field)),
        }
        Ok(())
    }

    pub fn push_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
        }
    }

    pub fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match self {
            Self::Boolean(builder) => builder.len(),
            Self::Int32(builder) => builder.len(),
            Self::Int64(builder) => builder.len(),
            Self::Float32(builder) => builder.len(),
            Self::Float64(builder) => builder.len(),
            Self::Text(builder) => builder.len(),
            Self::Date(builder) => builder.len(),
            Self::Time(builder) => builder.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn finish(mut self) -> ArrayRef {
        match &mut self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Checks a column that arrives as a whole, such as a column of a table: its type, nulls, numbers and texts.
pub fn check_column(array: &dyn Array, field: &RequestField) -> Result<(), Error> {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float32Type, Float64Type};
    if *array.data_type() != to_arrow(field.data_type) {
        let message = format!("field `{}` is {}, the column has {}", field.name, field.data_type, array.data_type());
        return Err(INVALID_REQUEST.error(message).hint("cast the column to the field's type"));
    }
    if field.required && array.null_count() > 0 {
        return Err(null(field));
    }
    let has_bad_number = match field.data_type {
        DataType::Float64 => array.as_primitive::<Float64Type>().iter().flatten().any(|number| !number.is_finite()),
        DataType::Float32 => array.as_primitive::<Float32Type>().iter().flatten().any(|number| !number.is_finite()),
        DataType::String => {
            let too_long = array.as_string::<i32>().iter().flatten().find(|text| text.len() > MAX_TEXT_BYTES);
            return too_long.map_or(Ok(()), |text| short(text, field).map(drop));
        }
        _ => false,
    };
    if has_bad_number { Err(not_finite(field)) } else { Ok(()) }
}

/// The request says nothing of a field that it must have.
pub fn missing(field: &RequestField) -> Error {
    INVALID_REQUEST.error(format!("field `{}` is missing", field.name)).hint(how_to_send(field))
}

/// The request leaves open the value of a field that must have one.
fn null(field: &RequestField) -> Error {
    INVALID_REQUEST.error(format!("field `{}` is null, and it is required", field.name)).hint(how_to_send(field))
}

fn how_to_send(field: &RequestField) -> String {
    format!("send `{}` as {}, like {}", field.name, field.data_type, example(field.data_type))
}

/// A whole number. A float without a fraction counts: pandas writes integers with nulls that way.
fn whole(value: Value<'_>, field: &RequestField) -> Result<i64, Error> {
    match value {
        Value::Int(number) => Ok(number),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Ok(number as i64),
        Value::Float(number) if !number.is_finite() => Err(not_finite(field)),
        _ => Err(wrong_type(value, field)),
    }
}

fn number(value: Value<'_>, field: &RequestField) -> Result<f64, Error> {
    match value {
        Value::Int(number) => Ok(number as f64),
        Value::Float(number) if number.is_finite() => Ok(number),
        Value::Float(_) => Err(not_finite(field)),
        _ => Err(wrong_type(value, field)),
    }
}

fn short<'a>(text: &'a str, field: &RequestField) -> Result<&'a str, Error> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(text);
    }
    let message = format!("field `{}` holds {} bytes of text, more than {MAX_TEXT_BYTES}", field.name, text.len());
    Err(INVALID_REQUEST.error(message).hint("send the short code that the model was trained with"))
}

fn not_finite(field: &RequestField) -> Error {
    let hint = match field.required {
        true => "send a finite number; this field cannot be left out",
        false => "send a finite number, or null where the value is unknown",
    };
    INVALID_REQUEST.error(format!("field `{}` is not a finite number", field.name)).hint(hint)
}

/// Days since 1970. Times that parse lie within years 1 to 9999, whose days fit.
fn day(micros: i64) -> i32 {
    micros.div_euclid(86_400_000_000) as i32
}

fn too_big(field: &RequestField) -> Error {
    INVALID_REQUEST
        .error(format!("field `{}` is too large for {}", field.name, field.data_type))
        .hint("check the unit of the value")
}

fn wrong_type(value: Value<'_>, field: &RequestField) -> Error {
    let found = match value {
        Value::Null => "null",
        Value::Boolean(_) => "a boolean",
        Value::Int(_) | Value::Micros(_) | Value::Float(_) => "a number",
        Value::Text(_) => "a text",
    };
    INVALID_REQUEST.error(format!("field `{}` is {}, but {found} was sent", field.name, field.data_type)).hint(format!(
        "send `{}` like {}",
        field.name,
        example(field.data_type)
    ))
}

/// What a text lacks to be a time. One without a zone means another instant wherever it is read.
fn not_a_time(text: &str, field: &RequestField) -> Error {
    if Timestamp::parse(&format!("{text}Z")).is_err() {
        return wrong_type(Value::Text(text), field);
    }
    let name = &field.name;
    INVALID_REQUEST
        .error(format!("field `{name}` has no zone: `{text}`"))
        .hint(format!("send `{name}` as `{text}Z`, if it is in UTC, or with an offset like `{text}+02:00`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data_type: DataType, value: Value<'_>, want: Result<&str, &str>) {
        let field = RequestField { name: "x".to_owned(), data_type, required: true };
        let mut builder = ColumnBuilder::new(data_type, 1);
        let pushed = builder.push(value, &field);
        match want {
            Ok(text) => {
                pushed.unwrap();
                let array = builder.finish();
                check_column(&array, &field).unwrap();
                let shown = arrow::util::display::array_value_to_string(&array, 0).unwrap();
                assert_eq!(shown, text);
            }
            Err(part) => {
                let error = pushed.unwrap_err();
                assert!(error.message().contains(part) && error.hint_text().is_some(), "{error:?}");
                assert!(builder.is_empty(), "a refused value leaves no trace");
            }
        }
    }

    #[test]
    fn a_field_takes_what_its_type_can_hold() {
        check(DataType::Boolean, Value::Boolean(true), Ok("true"));
        check(DataType::Int32, Value::Int(7), Ok("7"));
        check(DataType::Int64, Value::Float(7.0), Ok("7"));
        check(DataType::Float64, Value::Int(7), Ok("7.0"));
        check(DataType::Float32, Value::Float(0.5), Ok("0.5"));
        check(DataType::String, Value::Text("é"), Ok("é"));
        check(DataType::Date, Value::Text("2013-04-01"), Ok("2013-04-01"));
        check(DataType::Timestamp, Value::Text("2013-04-01T06:00:00+02:00"), Ok("2013-04-01T04:00:00Z"));
        check(DataType::Timestamp, Value::Micros(0), Ok("1970-01-01T00:00:00Z"));
    }

    #[test]
    fn everything_else_is_refused_with_a_hint() {
        check(DataType::Float64, Value::Null, Err("`x` is null, and it is required"));
        check(DataType::Float64, Value::Float(f64::NAN), Err("not a finite number"));
        check(DataType::Float64, Value::Text("1"), Err("is float64, but a text"));
        check(DataType::Float32, Value::Float(1e300), Err("too large"));
        check(DataType::Int32, Value::Int(1 << 40), Err("too large"));
        check(DataType::Int64, Value::Float(0.5), Err("a number"));
        check(DataType::Boolean, Value::Int(1), Err("is boolean"));
        check(DataType::String, Value::Int(1), Err("is string"));
        check(DataType::String, Value::Text(&"x".repeat(1025)), Err("1025 bytes"));
        check(DataType::Date, Value::Text("2013-04-01T00:00:00Z"), Err("is date"));
        check(DataType::Timestamp, Value::Text("yesterday"), Err("is timestamp"));
        check(DataType::Timestamp, Value::Text("2024-06-01T12:00:00"), Err("has no zone: `2024-06-01T12:00:00`"));
        check(DataType::Timestamp, Value::Int(0), Err("is timestamp"));
    }
}
