//! One value: of a feature, a request field or a database column.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A value with its type. JSON numbers without a fraction are `Int`, all others `Float`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(untagged)]
pub enum Scalar {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    #[serde(skip_deserializing)]
    Time(Timestamp),
}

impl Scalar {
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value as a number, if it is one: booleans count as 0 and 1.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Null | Self::Text(_) | Self::Time(_) => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty => |$value:ident| $body:expr;)*) => {
        $(impl From<$type> for Scalar {
            fn from($value: $type) -> Self {
                $body
            }
        })*
    };
}

from! {
    bool => |value| Self::Bool(value);
    i64 => |value| Self::Int(value);
    i32 => |value| Self::Int(value.into());
    u32 => |value| Self::Int(value.into());
    f64 => |value| Self::Float(value);
    String => |value| Self::Text(value);
    &str => |value| Self::Text(value.to_owned());
    &String => |value| Self::Text(value.clone());
    &crate::Name => |value| Self::Text(value.as_str().to_owned());
    &crate::ModelName => |value| Self::Text(value.as_str().to_owned());
    &crate::RunId => |value| Self::Text(value.as_str().to_owned());
    &crate::Actor => |value| Self::Text(value.as_str().to_owned());
    crate::Digest => |value| Self::Text(value.to_string());
    &crate::Digest => |value| Self::Text(value.to_string());
    Timestamp => |value| Self::Time(value);
}

impl<T: Into<Scalar>> From<Option<T>> for Scalar {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Versions and sequence numbers start at 1 and stay far below `i64::MAX`.
impl From<u64> for Scalar {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
