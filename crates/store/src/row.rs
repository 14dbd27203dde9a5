//! A row that a statement returned.

use std::sync::Arc;

use lw_core::{Digest, Error, Result, Scalar, Timestamp};
use serde::de::DeserializeOwned;

/// A row of a result. Columns are read by name; reading one that is not there, or as another type, is a defect of the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Scalar>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Scalar>) -> Self {
        Self { columns, values }
    }

    pub fn get(&self, column: &str) -> Result<&Scalar> {
        let index = self.columns.iter().position(|name| name == column);
        let index = index.ok_or_else(|| Error::bug(format!("the result has no column `{column}`, only {:?}", self.columns)))?;
        Ok(&self.values[index])
    }

    pub fn text(&self, column: &str) -> Result<String> {
        self.opt_text(column)?.ok_or_else(|| null(column))
    }

    pub fn opt_text(&self, column: &str) -> Result<Option<String>> {
        match self.get(column)? {
            Scalar::Null => Ok(None),
            Scalar::Text(text) => Ok(Some(text.clone())),
            other => Err(mistyped(column, other, "text")),
        }
    }

    pub fn int(&self, column: &str) -> Result<i64> {
        self.opt_int(column)?.ok_or_else(|| null(column))
    }

    pub fn opt_int(&self, column: &str) -> Result<Option<i64>> {
        match self.get(column)? {
            Scalar::Null => Ok(None),
            Scalar::Int(value) => Ok(Some(*value)),
            Scalar::Bool(value) => Ok(Some(i64::from(*value))),
            other => Err(mistyped(column, other, "an integer")),
        }
    }

    /// A version, sequence number or count.
    pub fn count(&self, column: &str) -> Result<u64> {
        let value = self.int(column)?;
        u64::try_from(value).map_err(|_| Error::bug(format!("column `{column}` holds the negative count {value}")))
    }

    pub fn opt_count(&self, column: &str) -> Result<Option<u64>> {
        if self.get(column)?.is_null() { Ok(None) } else { self.count(column).map(Some) }
    }

    pub fn float(&self, column: &str) -> Result<f64> {
        self.opt_float(column)?.ok_or_else(|| null(column))
    }

    pub fn opt_float(&self, column: &str) -> Result<Option<f64>> {
        match self.get(column)? {
            Scalar::Null => Ok(None),
            Scalar::Float(value) => Ok(Some(*value)),
            Scalar::Int(value) => Ok(Some(*value as f64)),
            other => Err(mistyped(column, other, "a number")),
        }
    }

    pub fn time(&self, column: &str) -> Result<Timestamp> {
        self.int(column).map(Timestamp::from_micros)
    }

    pub fn opt_time(&self, column: &str) -> Result<Option<Timestamp>> {
        Ok(self.opt_int(column)?.map(Timestamp::from_micros))
    }

    pub fn bool(&self, column: &str) -> Result<bool> {
        self.int(column).map(|value| value != 0)
    }

    /// A JSON document that is stored as text.
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|error| Error::bug(format!("column `{column}` holds unreadable JSON")).cause(error))
    }

    pub fn digest(&self, column: &str) -> Result<Digest> {
        self.opt_digest(column)?.ok_or_else(|| null(column))
    }

    pub fn opt_digest(&self, column: &str) -> Result<Option<Digest>> {
        let parse = |text: String| {
            Digest::parse(&text).map_err(|error| Error::bug(format!("column `{column}` holds no digest")).cause(error))
        };
        self.opt_text(column)?.map(parse).transpose()
    }

    /// The row as a JSON object without its nulls, so that a column added later leaves the digests of old rows as they were.
    /// Numbers that JSON cannot carry exactly stand as text.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let filled = self.columns.iter().zip(&self.values).filter(|(_, value)| !value.is_null());
        filled.map(|(name, value)| (name.clone(), exact_json(value))).collect::<serde_json::Map<_, _>>().into()
    }
}

/// The greatest integer below which canonical JSON keeps every one: 2^53.
pub(crate) const LARGEST_EXACT_INTEGER: u64 = 1 << 53;

/// Integers above 2^53 and non-finite numbers have no exact form in RFC 8785.
pub(crate) fn exact_json(value: &Scalar) -> serde_json::Value {
    match value {
        Scalar::Null => serde_json::Value::Null,
        Scalar::Bool(value) => i64::from(*value).into(),
        Scalar::Int(value) if value.unsigned_abs() > LARGEST_EXACT_INTEGER => value.to_string().into(),
        Scalar::Int(value) => (*value).into(),
        Scalar::Float(value) if value.is_finite() => (*value).into(),
        Scalar::Float(value) => value.to_string().into(),
        Scalar::Text(text) => text.as_str().into(),
        Scalar::Time(time) => time.micros().into(),
    }
}

fn null(column: &str) -> Error {
    Error::bug(format!("column `{column}` is null"))
}

fn mistyped(column: &str, value: &Scalar, wanted: &str) -> Error {
    Error::bug(format!("column `{column}` holds {value:?}, not {wanted}"))
}
