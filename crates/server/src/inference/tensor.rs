//! Tensors of the protocol as columns of a request.

use std::fmt;

use lw_core::{DataType, Error, Result};
use lw_serving::failures::INVALID_REQUEST;
use lw_serving::{ColumnBuilder, MAX_ROWS, RequestField, Value, bad_row_count};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};

/// The element types of the protocol that columns of a request can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// The element type in which a field is described. Times travel as RFC 3339 text.
    pub fn of(data_type: DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::Float32 => Self::Fp32,
            DataType::Float64 => Self::Fp64,
            DataType::String | DataType::Date | DataType::Timestamp => Self::Bytes,
        }
    }

    /// Bytes an element takes in the binary form. None for texts, which carry their length.
    pub fn width(self) -> Option<usize> {
        Some(match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 => 2,
            Self::Uint32 | Self::Int32 | Self::Fp32 => 4,
            Self::Uint64 | Self::Int64 | Self::Fp64 => 8,
            Self::Bytes => return None,
        })
    }
}

/// The number of rows that a shape stands for: `[n]` or `[n, 1]`.
pub fn rows_of(shape: &[i64], name: &str) -> Result<usize> {
    let n_rows = match shape {
        [n] | [n, 1] => usize::try_from(*n).ok(),
        _ => None,
    };
    match n_rows {
        Some(n_rows @ 1..=MAX_ROWS) => Ok(n_rows),
        Some(n_rows) => Err(bad_row_count(n_rows)),
        None => {
            let shown: String = name.chars().take(80).collect();
            Err(INVALID_REQUEST
                .error(format!("the shape of `{shown}` is not [n] or [n, 1]"))
                .hint("send one tensor a field, with a value a row"))
        }
    }
}

/// Fills a column from a tensor's elements, one at a time.
pub struct ColumnSink<'a> {
    field: &'a RequestField,
    datatype: Datatype,
    builder: ColumnBuilder,
    n_rows: usize,
}

impl<'a> ColumnSink<'a> {
    pub fn new(field: &'a RequestField, datatype: Datatype, n_rows: usize) -> Self {
        Self { field, datatype, builder: ColumnBuilder::new(field.data_type, n_rows), n_rows }
    }

    /// A time may come as a number of microseconds, in a tensor of INT64 only.
    pub fn push(&mut self, value: Value<'_>) -> Result<()> {
        if self.builder.len() >= self.n_rows {
            return Err(wrong_count(&self.field.name, self.n_rows));
        }
        let value = match value {
            Value::Int(micros) if self.field.data_type == DataType::Timestamp && self.datatype == Datatype::Int64 => {
                Value::Micros(micros)
            }
            Value::Int(0 | 1) if self.datatype == Datatype::Bool => Value::Boolean(value == Value::Int(1)),
            // NaN is how a typed tensor says that a value is unknown.
            Value::Float(number) if number.is_nan() && !self.field.required => Value::Null,
            other => other,
        };
        self.builder.push(value, self.field)
    }

    pub fn finish(self) -> Result<arrow::array::ArrayRef> {
        if self.builder.len() == self.n_rows {
            Ok(self.builder.finish())
        } else {
            Err(wrong_count(&self.field.name, self.n_rows))
        }
    }
}

fn wrong_count(name: &str, n_rows: usize) -> Error {
    INVALID_REQUEST
        .error(format!("tensor `{name}` does not hold the {n_rows} values of its shape"))
        .hint("make shape and data agree")
}

/// Reads `data`, flat or nested, straight into `push`.
pub struct Data<F> {
    push: F,
    failure: Option<Error>,
}

/// Feeds the elements of a JSON array, nested or flat, to `push`.
pub fn each_element(json: &str, name: &str, push: impl FnMut(Value<'_>) -> Result<()>) -> Result<()> {
    let mut data = Data { push, failure: None };
    let mut reader = serde_json::Deserializer::from_str(json);
    let read = Elements(&mut data).deserialize(&mut reader).and_then(|()| reader.end());
    match (read, data.failure) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(failure)) => Err(failure),
        (Err(error), None) => {
            let message = format!("the data of tensor `{name}` is not valid: {error}");
            Err(INVALID_REQUEST.error(message).hint("send a list of numbers, texts or booleans"))
        }
    }
}

struct Elements<'d, F>(&'d mut Data<F>);

impl<'de, F: FnMut(Value<'_>) -> Result<()>> DeserializeSeed<'de> for Elements<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<F: FnMut(Value<'_>) -> Result<()>> Elements<'_, F> {
    fn give<E: serde::de::Error>(self, value: Value<'_>) -> std::result::Result<(), E> {
        (self.0.push)(value).map_err(|error| {
            self.0.failure = Some(error);
            E::custom("see the failure")
        })
    }
}

impl<'de, F: FnMut(Value<'_>) -> Result<()>> Visitor<'de> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers, texts or booleans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> std::result::Result<(), A::Error> {
        while elements.next_element_seed(Elements(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> std::result::Result<(), E> {
        self.give(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> std::result::Result<(), E> {
        self.give(Value::Boolean(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> std::result::Result<(), E> {
        self.give(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<(), E> {
        self.give(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> std::result::Result<(), E> {
        self.give(Value::Float(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> std::result::Result<(), E> {
        self.give(Value::Text(value))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, _: A) -> std::result::Result<(), A::Error> {
        Err(A::Error::custom("an object is no element"))
    }
}
