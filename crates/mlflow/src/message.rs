//! Requests, read by the rules of MLflow's server: a message comes as a query or as JSON, names may be snake or camel case, unknown
//! fields are ignored, numbers may be texts, and what is missing or mistyped is answered in words that clients know.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use serde_json::{Map, Value};

use crate::refusal::{Answer, ErrorCode, Refusal};

const SEE_DOCS: &str = "See the API docs for more information about request parameters.";

/// A request's message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    fields: Map<String, Value>,
    is_query: bool,
}

/// A view of a message, or of one inside it. `path` names it in errors, like `metrics[3].`.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    /// A query says lists by repeating a name, and has no other spelling of a name than snake case.
    is_query: bool,
}

impl<S: Send + Sync> FromRequest<S> for Message {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        if request.method() == Method::GET {
            return Ok(Self::of_query(request.uri().query().unwrap_or_default()));
        }
        let body = RawBody::from_request(request, state).await?;
        Self::of_body(body.content_type.as_deref(), &body.bytes)
    }
}

/// A body as it came, for a handler that has a faster way to read it.
#[derive(Debug, Clone)]
pub(crate) struct RawBody {
    pub content_type: Option<String>,
    pub bytes: Bytes,
}

impl RawBody {
    pub(crate) fn is_json(&self) -> bool {
        is_json(self.content_type.as_deref())
    }
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| body_refused(&rejection.body_text()))?;
        Ok(Self { content_type, bytes })
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|given| given.split(';').next().unwrap_or_default().trim() == "application/json")
}

impl Message {
    /// A message that was read elsewhere.
    pub(crate) fn of_fields(fields: Map<String, Value>) -> Self {
        Self { fields, is_query: false }
    }

    /// Reads a query. A name that stands several times is a list.
    pub fn of_query(query: &str) -> Self {
        let mut fields = Map::new();
        for (name, value) in form_pairs(query) {
            let value = Value::String(value);
            match fields.get_mut(&name) {
                None => drop(fields.insert(name, value)),
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        Self { fields, is_query: true }
    }

    /// Reads a JSON body. Old clients encode it twice; an empty one is an empty message.
    pub fn of_body(content_type: Option<&str>, body: &[u8]) -> Answer<Self> {
        if !is_json(content_type) && !body.is_empty() {
            return Err(Refusal::new(
                ErrorCode::InvalidParameterValue,
                "Bad Request. Content-Type must be one of ['application/json'].",
            ));
        }
        let value = match value_of(body) {
            Some(Value::String(inner)) => value_of(inner.as_bytes()).unwrap_or(Value::Null),
            Some(value) => value,
            // MLflow's server takes an unreadable body for an empty one, and then misses the first parameter that it needs.
            None => Value::Null,
        };
        let fields = match value {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Ok(Self { fields, is_query: false })
    }

    pub fn fields(&self) -> Fields<'_> {
        Fields { map: &self.fields, path: String::new(), is_query: self.is_query }
    }
}

impl<'a> Fields<'a> {
    /// A field that is set to something, by its snake-case name.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        let value = match self.map.get(name) {
            None if !self.is_query => self.map.get(&*camel_case(name)),
            value => value,
        };
        value.filter(|value| !value.is_null())
    }

    /// A text that may be missing.
    pub fn text(&self, name: &str) -> Answer<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            // A query that says a text twice means the first.
            Some(Value::Array(texts)) if self.is_query => Ok(texts.first().and_then(Value::as_str)),
            Some(other) => Err(self.mistyped(name, other)),
        }
    }

    /// A text that must be there and not empty.
    pub fn required_text(&self, name: &str) -> Answer<&'a str> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// A 64-bit integer, or a text or whole float that says one.
    pub fn integer(&self, name: &str) -> Answer<Option<i64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9e18).then_some(float as i64);
        let integer = match value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        integer.map(Some).ok_or_else(|| self.mistyped(name, value))
    }

    pub fn required_integer(&self, name: &str) -> Answer<i64> {
        self.integer(name)?.ok_or_else(|| self.missing(name))
    }

    /// A number, or a text that says one; `NaN`, `Infinity` and `-Infinity` come as texts.
    pub fn number(&self, name: &str) -> Answer<Option<f64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.mistyped(name, value))
    }

    pub fn required_number(&self, name: &str) -> Answer<f64> {
        self.number(name)?.ok_or_else(|| self.missing(name))
    }

    /// The number of an enumeration's value, which may be written as its name or number. As in MLflow an unknown one is none.
    pub fn enumeration(&self, name: &str, values: &[(&str, i64)]) -> Answer<Option<i64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match value {
            Value::String(text) => {
                let named = values.iter().find(|(known, _)| known == text).map(|(_, number)| *number);
                named.or_else(|| text.trim().parse().ok())
            }
            Value::Number(number) => number.as_i64(),
            other => return Err(self.mistyped(name, other)),
        };
        Ok(number.filter(|number| values.iter().any(|(_, known)| known == number)))
    }

    /// A truth value; queries write it as text.
    pub fn boolean(&self, name: &str) -> Answer<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(Value::String(text)) => {
                Err(Refusal::invalid(format!("Invalid boolean value: {text}, must be 'true' or 'false'.")))
            }
            Some(other) => Err(self.mistyped(name, other)),
        }
    }

    /// A list of texts; none for a missing one. A query's single value is a list of one.
    pub fn texts(&self, name: &str) -> Answer<Vec<&'a str>> {
        let text = |value: &'a Value| value.as_str().ok_or_else(|| self.mistyped(name, value));
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) if self.is_query => Ok(vec![text]),
            Some(Value::Array(values)) => values.iter().map(text).collect(),
            Some(other) => Err(self.mistyped(name, other)),
        }
    }

    /// The messages of a list; none for a missing one.
    pub fn list(&self, name: &str) -> Answer<Vec<Fields<'a>>> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let Value::Array(values) = value else { return Err(self.mistyped(name, value)) };
        let inner = |(index, value): (usize, &'a Value)| match value {
            Value::Object(map) => Ok(Fields { map, path: format!("{}{name}[{index}].", self.path), is_query: false }),
            other => Err(self.mistyped(name, other)),
        };
        values.iter().enumerate().map(inner).collect()
    }

    /// A message inside this one.
    pub fn message(&self, name: &str) -> Answer<Option<Fields<'a>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Fields { map, path: format!("{}{name}.", self.path), is_query: false })),
            Some(other) => Err(self.mistyped(name, other)),
        }
    }

    pub fn missing(&self, name: &str) -> Refusal {
        Refusal::invalid(format!("Missing value for required parameter '{}{name}'. {SEE_DOCS}", self.path))
    }

    /// Refuses the value of a field, whatever it is, as one that cannot be.
    pub(crate) fn refused(&self, name: &str) -> Refusal {
        self.mistyped(name, self.get(name).unwrap_or(&Value::Null))
    }

    pub fn mistyped(&self, name: &str, value: &Value) -> Refusal {
        Refusal::invalid(format!(
            "Invalid value {value} for parameter '{}{name}' supplied:  Hint: Value was of type '{}'. {SEE_DOCS}",
            self.path,
            python_type(value),
        ))
    }
}

/// Reads JSON as Python does, where a number may be `NaN`, `Infinity` or `-Infinity`; they become texts, which say the same.
fn value_of(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().or_else(|| serde_json::from_slice(&with_quoted_numbers(body)?).ok())
}

/// The JSON with quotes around numbers that JSON does not have; none if it has none of them.
fn with_quoted_numbers(body: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let (mut quoted, mut rest, mut is_in_text, mut n_found) = (Vec::with_capacity(body.len() + 16), body, false, 0);
    while let Some((first, behind)) = rest.split_first() {
        let word = WORDS.into_iter().find(|word| !is_in_text && rest.starts_with(word));
        if let Some(word) = word {
            quoted.extend([b"\"", word, b"\""].concat());
            rest = rest.get(word.len()..).unwrap_or_default();
            n_found += 1;
            continue;
        }
        quoted.push(*first);
        rest = behind;
        match (*first, behind.split_first()) {
            (b'"', _) => is_in_text = !is_in_text,
            (b'\\', Some((escaped, behind))) if is_in_text => {
                quoted.push(*escaped);
                rest = behind;
            }
            _ => {}
        }
    }
    (n_found > 0).then_some(quoted)
}

fn body_refused(why: &str) -> Refusal {
    Refusal::new(ErrorCode::BadRequest, format!("The request's body could not be read: {why}"))
}

/// What MLflow's messages call the type of a JSON value.
fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// `run_id` as `runId`.
fn camel_case(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.extend(letters);
    }
    Cow::Owned(camel)
}

/// The pairs of a query string, decoded.
fn form_pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Message {
        Message::of_body(Some("application/json"), text.as_bytes()).unwrap()
    }

    #[test]
    fn names_may_be_snake_or_camel_case() {
        assert_eq!(body(r#"{"runId": "a"}"#).fields().required_text("run_id").unwrap(), "a");
        assert_eq!(body(r#"{"run_id": "a", "zzz": 1}"#).fields().required_text("run_id").unwrap(), "a");
    }

    #[test]
    fn what_is_missing_or_mistyped_is_said_in_mlflows_words() {
        let message = body(r#"{"name": 5, "empty": "", "tags": [{"value": "x"}]}"#);
        let fields = message.fields();
        let check = |refused: Answer<&str>, want: &str| assert_eq!(refused.unwrap_err().message, format!("{want} {SEE_DOCS}"));
        check(fields.required_text("name"), "Invalid value 5 for parameter 'name' supplied:  Hint: Value was of type 'int'.");
        check(fields.required_text("empty"), "Missing value for required parameter 'empty'.");
        check(fields.required_text("none"), "Missing value for required parameter 'none'.");
        check(fields.list("tags").unwrap()[0].required_text("key"), "Missing value for required parameter 'tags[0].key'.");
    }

    #[test]
    fn numbers_may_be_texts() {
        let message = body(r#"{"a": "12", "b": 3.0, "c": "NaN", "d": "-Infinity", "e": "1.5", "f": "x", "g": 1.5}"#);
        let fields = message.fields();
        assert_eq!((fields.integer("a").unwrap(), fields.integer("b").unwrap()), (Some(12), Some(3)));
        assert!(fields.number("c").unwrap().unwrap().is_nan());
        assert_eq!((fields.number("d").unwrap(), fields.number("e").unwrap()), (Some(f64::NEG_INFINITY), Some(1.5)));
        assert!(fields.integer("f").is_err() && fields.number("f").is_err() && fields.integer("g").is_err());
    }

    #[test]
    fn a_body_may_be_encoded_twice_and_must_say_that_it_is_json() {
        assert_eq!(body(r#""{\"name\": \"a\"}""#).fields().required_text("name").unwrap(), "a");
        assert_eq!(body(""), Message::default());
        assert_eq!(body("{bad"), Message::default());
        let refused = Message::of_body(Some("text/plain"), b"{}").unwrap_err();
        assert_eq!(refused.message, "Bad Request. Content-Type must be one of ['application/json'].");
    }

    #[test]
    fn numbers_that_json_does_not_have_are_read_where_they_are_no_text() {
        let message = body(r#"{"value": NaN, "low": -Infinity, "key": "NaN \" NaN", "list": [Infinity]}"#);
        let fields = message.fields();
        assert!(fields.number("value").unwrap().unwrap().is_nan());
        assert_eq!(fields.number("low").unwrap(), Some(f64::NEG_INFINITY));
        assert_eq!(fields.text("key").unwrap(), Some("NaN \" NaN"));
    }

    #[test]
    fn a_query_repeats_names_for_lists() {
        let message = Message::of_query("run_ids=a&run_ids=b%20c&path=x+y&flag=True");
        let fields = message.fields();
        assert_eq!(fields.texts("run_ids").unwrap(), ["a", "b c"]);
        assert_eq!(fields.texts("path").unwrap(), ["x y"]);
        assert_eq!(fields.boolean("flag").unwrap(), Some(true));
    }
}
