//! The binary extension: tensors behind the JSON, little-endian, in the order of their inputs. Triton's clients use it by default.

use lw_core::{Error, Result};
use lw_serving::Value;
use lw_serving::failures::INVALID_REQUEST;

use super::tensor::Datatype;

/// The header that says where the JSON ends.
pub const HEADER_LENGTH: &str = "inference-header-content-length";

/// Feeds the elements of a tensor's bytes to `push`.
pub fn each_element(bytes: &[u8], datatype: Datatype, name: &str, mut push: impl FnMut(Value<'_>) -> Result<()>) -> Result<()> {
    let Some(width) = datatype.width() else {
        return each_text(bytes, name, push);
    };
    if !bytes.len().is_multiple_of(width) {
        return Err(broken(name));
    }
    for element in bytes.chunks_exact(width) {
        push(number(element, datatype).ok_or_else(|| broken(name))?)?;
    }
    Ok(())
}

fn number(element: &[u8], datatype: Datatype) -> Option<Value<'static>> {
    macro_rules! read {
        ($type:ty) => {
            <$type>::from_le_bytes(element.try_into().ok()?)
        };
    }
    Some(match datatype {
        Datatype::Bool => Value::Boolean(read!(u8) != 0),
        Datatype::Uint8 => Value::Int(read!(u8).into()),
        Datatype::Uint16 => Value::Int(read!(u16).into()),
        Datatype::Uint32 => Value::Int(read!(u32).into()),
        Datatype::Uint64 => {
            let value = read!(u64);
            i64::try_from(value).map_or(Value::Float(value as f64), Value::Int)
        }
        Datatype::Int8 => Value::Int(read!(i8).into()),
        Datatype::Int16 => Value::Int(read!(i16).into()),
        Datatype::Int32 => Value::Int(read!(i32).into()),
        Datatype::Int64 => Value::Int(read!(i64)),
        Datatype::Fp32 => Value::Float(read!(f32).into()),
        Datatype::Fp64 => Value::Float(read!(f64)),
        Datatype::Bytes => return None,
    })
}

fn each_text(mut bytes: &[u8], name: &str, mut push: impl FnMut(Value<'_>) -> Result<()>) -> Result<()> {
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (text, rest) = rest.split_at_checked(length).ok_or_else(|| broken(name))?;
        let text = std::str::from_utf8(text).map_err(|error| broken(name).cause(error))?;
        push(Value::Text(text))?;
        bytes = rest;
    }
    if bytes.is_empty() { Ok(()) } else { Err(broken(name)) }
}

fn broken(name: &str) -> Error {
    let shown: String = name.chars().take(80).collect();
    INVALID_REQUEST
        .error(format!("the binary data of tensor `{shown}` does not hold whole values of its datatype"))
        .hint("numbers are little-endian; each text is a 4-byte length and its UTF-8 bytes")
}
