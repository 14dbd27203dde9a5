//! OpenTelemetry's trace messages (opentelemetry-proto 1.x: collector/trace, trace, resource, common), in both encodings. Only what is
//! kept is read; other fields are skipped.

use serde::{Deserialize, Deserializer};

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct ExportTraceServiceRequest {
    #[prost(message, repeated, tag = "1")]
    #[serde(rename = "resourceSpans", alias = "resource_spans")]
    pub resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    #[serde(rename = "scopeSpans", alias = "scope_spans")]
    pub scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<WireSpan>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireSpan {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(alias = "trace_id", deserialize_with = "hex_id")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(alias = "span_id", deserialize_with = "hex_id")]
    pub span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    #[serde(alias = "parent_span_id", deserialize_with = "hex_id")]
    pub parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub name: String,
    #[prost(int32, tag = "6")]
    #[serde(deserialize_with = "kind")]
    pub kind: i32,
    #[prost(fixed64, tag = "7")]
    #[serde(alias = "start_time_unix_nano", deserialize_with = "number")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    #[serde(alias = "end_time_unix_nano", deserialize_with = "number")]
    pub end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
    #[prost(message, repeated, tag = "13")]
    pub links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Event {
    #[prost(fixed64, tag = "1")]
    #[serde(alias = "time_unix_nano", deserialize_with = "number")]
    pub time_unix_nano: u64,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Link {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(alias = "trace_id", deserialize_with = "hex_id")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(alias = "span_id", deserialize_with = "hex_id")]
    pub span_id: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(int32, tag = "3")]
    #[serde(deserialize_with = "status_code")]
    pub code: i32,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct AnyValue {
    #[prost(oneof = "AnyKind", tags = "1, 2, 3, 4, 5, 6, 7")]
    #[serde(flatten)]
    pub kind: Option<AnyKind>,
}

#[derive(Clone, PartialEq, prost::Oneof, Deserialize)]
pub(super) enum AnyKind {
    #[prost(string, tag = "1")]
    #[serde(rename = "stringValue", alias = "string_value")]
    Text(String),
    #[prost(bool, tag = "2")]
    #[serde(rename = "boolValue", alias = "bool_value")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    #[serde(rename = "intValue", alias = "int_value", deserialize_with = "signed")]
    Int(i64),
    #[prost(double, tag = "4")]
    #[serde(rename = "doubleValue", alias = "double_value", deserialize_with = "float")]
    Double(f64),
    #[prost(message, tag = "5")]
    #[serde(rename = "arrayValue", alias = "array_value")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    #[serde(rename = "kvlistValue", alias = "kvlist_value")]
    Pairs(KeyValueList),
    #[prost(bytes = "vec", tag = "7")]
    #[serde(rename = "bytesValue", alias = "bytes_value", deserialize_with = "base64_bytes")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<KeyValue>,
}

/// JSON writes 64-bit numbers as texts, and many clients as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flexible {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
}

fn bad<E: serde::de::Error>(what: &str) -> E {
    E::custom(format!("{what} is expected"))
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match Flexible::deserialize(deserializer)? {
        Flexible::Unsigned(number) => Ok(number),
        Flexible::Text(text) => text.trim().parse().map_err(|_| bad("a whole number")),
        Flexible::Signed(_) | Flexible::Float(_) => Err(bad("a whole number")),
    }
}

fn signed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    match Flexible::deserialize(deserializer)? {
        Flexible::Unsigned(number) => i64::try_from(number).map_err(|_| bad("a number of 64 bits")),
        Flexible::Signed(number) => Ok(number),
        Flexible::Text(text) => text.trim().parse().map_err(|_| bad("a whole number")),
        Flexible::Float(_) => Err(bad("a whole number")),
    }
}

fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Flexible::deserialize(deserializer)? {
        Flexible::Unsigned(number) => Ok(number as f64),
        Flexible::Signed(number) => Ok(number as f64),
        Flexible::Float(number) => Ok(number),
        Flexible::Text(text) => text.trim().parse().map_err(|_| bad("a number")),
    }
}

/// Ids are hexadecimal in OpenTelemetry's JSON, unlike other bytes.
fn hex_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(|| bad("hexadecimal digits"))?;
    Ok(digits.chunks_exact(2).map(|pair| pair.iter().fold(0_u8, |byte, digit| byte << 4 | *digit as u8)).collect())
}

fn base64_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    use base64::Engine as _;
    let text = String::deserialize(deserializer)?;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| bad("base64"))
}

/// Enumerations come by number or by name.
fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let names = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    enumerated(deserializer, "SPAN_KIND_", &names)
}

fn status_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    enumerated(deserializer, "STATUS_CODE_", &["UNSET", "OK", "ERROR"])
}

fn enumerated<'de, D: Deserializer<'de>>(deserializer: D, prefix: &str, names: &[&str]) -> Result<i32, D::Error> {
    match Flexible::deserialize(deserializer)? {
        Flexible::Unsigned(number) => i32::try_from(number).map_err(|_| bad("a number of an enumeration")),
        Flexible::Text(text) => {
            let name = text.strip_prefix(prefix).unwrap_or(&text);
            let place = names.iter().position(|known| *known == name).ok_or_else(|| bad("a name of an enumeration"))?;
            i32::try_from(place).map_err(|_| bad("a name of an enumeration"))
        }
        _ => Err(bad("a name of an enumeration")),
    }
}
