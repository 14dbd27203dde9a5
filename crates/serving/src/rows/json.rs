//! The plain JSON form of a request, read straight into typed columns: no tree of values in between.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use lw_core::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{ColumnBuilder, Rows, Value, bad_row_count, column, unknown_field};
use crate::failures::INVALID_REQUEST;
use crate::request::{Key, MAX_ROWS, MAX_TEXT_BYTES, RequestSchema};

const ROWS_KEY: &str = "rows";
const FORM_HINT: &str = "send {\"rows\": [{\"field\": value, …}]} or one object of fields";

pub(super) fn read(schema: &Arc<RequestSchema>, body: &[u8]) -> Result<Rows> {
    let mut reader = Reader {
        schema,
        columns: schema.fields().iter().map(|field| ColumnBuilder::new(field.data_type, 1)).collect(),
        ids: Vec::with_capacity(1),
        failure: None,
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_any(Body(&mut reader)).and_then(|()| json.end());
    match (read, reader.failure) {
        (Ok(()), _) => {}
        (Err(_), Some(failure)) => return Err(failure),
        (Err(error), None) => {
            if let Some(refusal) = no_number(body, &error) {
                return Err(refusal);
            }
            return Err(INVALID_REQUEST.error(format!("the body is not valid JSON: {error}")).hint(FORM_HINT));
        }
    }
    if reader.ids.is_empty() {
        return Err(bad_row_count(0));
    }
    let columns = reader.columns.into_iter().map(ColumnBuilder::finish).collect();
    Ok(Rows { schema: Arc::clone(schema), ids: reader.ids, columns }.with_ids_of_fields())
}

/// Says which field holds a number that JSON has no form for, if that is why the body cannot be read: some libraries write them anyway.
fn no_number(body: &[u8], error: &serde_json::Error) -> Option<Error> {
    let lines = body.split(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let near = lines.map(|line| line.len() + 1).sum::<usize>() + error.column();
    let word_at = |at: usize| {
        ["NaN", "-Infinity", "Infinity"]
            .into_iter()
            .find(|word| body.get(at..).is_some_and(|rest| rest.starts_with(word.as_bytes())))
    };
    let (at, word) = (near.saturating_sub(2)..=near).find_map(|at| Some((at, word_at(at)?)))?;
    let before = std::str::from_utf8(body.get(..at)?).ok()?.trim_end().strip_suffix(':')?.trim_end().strip_suffix('"')?;
    let name: String = before.rsplit('"').next()?.chars().take(80).collect();
    let error = INVALID_REQUEST.error(format!("field `{name}` is {word}, which is not a finite number, and not JSON"));
    Some(error.hint("send `null` for a value that is not known"))
}

/// The state of one reading. `failure` carries our own error past serde, which knows only texts.
struct Reader<'a> {
    schema: &'a RequestSchema,
    columns: Vec<ColumnBuilder>,
    ids: Vec<Option<Box<str>>>,
    failure: Option<Error>,
}

impl Reader<'_> {
    fn fail<E: serde::de::Error>(&mut self, error: Error) -> E {
        self.failure = Some(error);
        E::custom("see the failure")
    }

    /// Errors say which row they mean once a request has several.
    fn in_row(&self, error: Error, row_index: usize) -> Error {
        if row_index == 0 { error } else { error.context(format_args!("row {row_index}")) }
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Key, row_index: usize, map: &mut A) -> Result<(), A::Error> {
        match key {
            Key::Id => {
                let id = map.next_value_seed(Id)?;
                let slot = self.ids.get_mut(row_index).filter(|slot| slot.is_none());
                match (slot, id) {
                    (Some(slot), Ok(id)) => *slot = id,
                    (_, Err(error)) => return Err(self.fail(self.in_row(error, row_index))),
                    (None, _) => {
                        let name = self.schema.id().unwrap_or_default();
                        return Err(self.fail(self.in_row(sent_twice(name), row_index)));
                    }
                }
            }
            Key::Field(index) => {
                let (Some(field), Some(column)) = (self.schema.fields().get(index), self.columns.get_mut(index)) else {
                    return Err(A::Error::custom("no such field"));
                };
                if column.len() > row_index {
                    return Err(self.fail(self.in_row(sent_twice(&field.name), row_index)));
                }
                let pushed = map.next_value_seed(Cell { push: |value: Value<'_>| column.push(value, field) })?;
                if let Err(error) = pushed {
                    return Err(self.fail(self.in_row(error, row_index)));
                }
            }
        }
        Ok(())
    }

    /// Ends a row: fields that were not sent are null, or missed.
    fn end_row(&mut self, row_index: usize) -> Result<(), Error> {
        for (field, column) in self.schema.fields().iter().zip(&mut self.columns) {
            if column.len() <= row_index {
                if field.required {
                    return Err(column::missing(field));
                }
                column.push_null();
            }
        }
        Ok(())
    }
}

fn sent_twice(name: &str) -> Error {
    INVALID_REQUEST.error(format!("field `{name}` was sent twice in one row")).hint("send each field once")
}

/// The whole body: `{"rows": […]}`, or one row.
struct Body<'r, 'a>(&'r mut Reader<'a>);

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.0;
        let schema = reader.schema;
        let Some(first) = map.next_key_seed(KeySeed(schema))? else {
            return Err(reader.fail(bad_row_count(0).hint(FORM_HINT)));
        };
        if first == Err(Cow::Borrowed(ROWS_KEY)) {
            map.next_value_seed(AllRows(reader))?;
            return match map.next_key_seed(KeySeed(schema))? {
                None => Ok(()),
                Some(_) => Err(reader.fail(INVALID_REQUEST.error("`rows` stands beside other keys").hint(FORM_HINT))),
            };
        }
        read_row(reader, Some(first), &mut map)
    }
}

struct AllRows<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for AllRows<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AllRows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while rows.next_element_seed(Row(self.0))?.is_some() {}
        Ok(())
    }
}

struct Row<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Row<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let first = map.next_key_seed(KeySeed(self.0.schema))?;
        read_row(self.0, first, &mut map)
    }
}

/// What a key means, or the unknown key itself.
type FoundKey = std::result::Result<Key, Cow<'static, str>>;

fn read_row<'de, A: MapAccess<'de>>(reader: &mut Reader<'_>, first: Option<FoundKey>, map: &mut A) -> Result<(), A::Error> {
    let row_index = reader.ids.len();
    if row_index >= MAX_ROWS {
        return Err(reader.fail(bad_row_count(row_index + 1)));
    }
    reader.ids.push(None);
    let schema = reader.schema;
    let mut next = first;
    while let Some(found) = next {
        match found {
            Ok(key) => reader.field(key, row_index, map)?,
            Err(name) => return Err(reader.fail(reader.in_row(unknown_field(schema, &name), row_index))),
        }
        next = map.next_key_seed(KeySeed(schema))?;
    }
    let ended = reader.end_row(row_index);
    ended.map_err(|error| reader.fail(reader.in_row(error, row_index)))
}

/// Finds a key's meaning without keeping its text.
struct KeySeed<'a>(&'a RequestSchema);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = FoundKey;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<FoundKey, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = FoundKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, key: &str) -> Result<FoundKey, E> {
        Ok(match self.0.key(key) {
            Some(found) => Ok(found),
            None if key == ROWS_KEY => Err(Cow::Borrowed(ROWS_KEY)),
            None => Err(Cow::Owned(key.to_owned())),
        })
    }
}

/// One value, handed to `push` in the form it was written.
pub(crate) struct Cell<F> {
    pub(crate) push: F,
}

impl<'de, F: FnMut(Value<'_>) -> Result<()>> DeserializeSeed<'de> for Cell<F> {
    type Value = Result<()>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Value<'_>) -> Result<()>> Visitor<'de> for Cell<F> {
    type Value = Result<()>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text, true, false or null")
    }

    fn visit_unit<E>(mut self) -> Result<Self::Value, E> {
        Ok((self.push)(Value::Null))
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<Self::Value, E> {
        Ok((self.push)(Value::Boolean(value)))
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<Self::Value, E> {
        Ok((self.push)(Value::Int(value)))
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<Self::Value, E> {
        let value = i64::try_from(value).map_or(Value::Float(value as f64), Value::Int);
        Ok((self.push)(value))
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<Self::Value, E> {
        Ok((self.push)(Value::Float(value)))
    }

    fn visit_str<E>(mut self, value: &str) -> Result<Self::Value, E> {
        Ok((self.push)(Value::Text(value)))
    }
}

/// The id of a row: a text, or a whole number written as one.
struct Id;

impl<'de> DeserializeSeed<'de> for Id {
    type Value = Result<Option<Box<str>>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut id = None;
        let push = |value: Value<'_>| {
            id = match value {
                Value::Null => None,
                Value::Int(number) => Some(number.to_string().into()),
                Value::Text(text) if (1..=MAX_TEXT_BYTES).contains(&text.len()) => Some(text.into()),
                _ => {
                    let message = format!("the id of a row is a text of 1 to {MAX_TEXT_BYTES} bytes");
                    return Err(INVALID_REQUEST.error(message).hint("send it like \"UA-1545\", or leave it out"));
                }
            };
            Ok(())
        };
        let pushed = Cell { push }.deserialize(deserializer)?;
        Ok(pushed.map(|()| id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::schema;

    #[track_caller]
    fn refused(body: &str, part: &str, hint: &str) {
        let error = Rows::from_json(&schema(), body.as_bytes()).unwrap_err();
        assert!(error.message().contains(part), "{error:?}");
        assert!(error.hint_text().unwrap_or_default().contains(hint), "{error:?}");
    }

    #[test]
    fn one_object_and_a_list_of_rows_are_both_read() {
        let one = Rows::from_json(&schema(), br#"{"flight_id": 15, "carrier": "AA", "distance": 100}"#).unwrap();
        assert_eq!((one.len(), one.ids()[0].as_deref()), (1, Some("15")));
        let body = br#" {"rows": [{"carrier":"AA","distance":1e2,"seats":3,"at":"2013-04-01"}, {"distance":0.5,"carrier":"\u00e9","seats":null}]} "#;
        let many = Rows::from_json(&schema(), body).unwrap();
        let text = arrow::util::pretty::pretty_format_columns("carrier", &many.columns()[..1]).unwrap().to_string();
        assert!(text.contains("AA") && text.contains('é'), "{text}");
        assert_eq!(many.columns().iter().map(|column| column.null_count()).collect::<Vec<_>>(), [0, 0, 1, 1]);
    }

    #[test]
    fn a_bad_body_is_refused_with_the_field_and_a_hint() {
        refused("", "not valid JSON", "rows");
        refused("[]", "not valid JSON", "rows");
        refused("{}", "no rows", "rows");
        refused(r#"{"rows": []}"#, "no rows", "at least one");
        refused(r#"{"rows": [{"carrier":"AA","distance":1}], "x": 1}"#, "beside other keys", "");
        refused(r#"{"rows": [{"carrier":"AA","distance":1}]} trailing"#, "not valid JSON", "");
        refused(r#"{"carrier": "AA"}"#, "field `distance` is missing", "like 2.5");
        refused(r#"{"rows": [{"carrier":"AA","distance":1},{"carrier":"AA"}]}"#, "row 1: field `distance`", "");
        refused(r#"{"carrier": "AA", "distance": 1, "colour": 1}"#, "`colour` is not a field", "`carrier` (string)");
        refused(r#"{"carier": "AA", "distance": 1}"#, "`carier` is not a field", "`carrier`");
        refused(r#"{"carrier": "AA", "carrier": "AA", "distance": 1}"#, "`carrier` was sent twice", "");
        refused(r#"{"flight_id": "a", "flight_id": "a", "carrier": "AA", "distance": 1}"#, "`flight_id` was sent twice", "");
        refused(r#"{"flight_id": "", "carrier": "AA", "distance": 1}"#, "the id of a row", "");
        refused(r#"{"carrier": "AA", "distance": NaN}"#, "field `distance` is NaN", "`null`");
        refused("{\"rows\": [\n{\"carrier\": \"AA\", \"distance\" : -Infinity}]}", "field `distance` is -Infinity", "`null`");
        refused(r#"{"carrier": "AA", "distance": Infinity}"#, "field `distance` is Infinity", "`null`");
        refused(r#"{"carrier": "AA", "distance": Nan}"#, "not valid JSON", "");
        refused(r#"{"carrier": "AA", "distance": 1e400}"#, "not valid JSON", "");
        refused(r#"{"carrier": "AA", "distance": [1]}"#, "not valid JSON", "");
        refused(&format!(r#"{{"carrier": {}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000)), "not valid JSON", "");
    }

    #[test]
    fn rows_are_limited() {
        let row = r#"{"carrier":"AA","distance":1}"#;
        let body = |n| format!(r#"{{"rows":[{}]}}"#, vec![row; n].join(","));
        assert_eq!(Rows::from_json(&schema(), body(MAX_ROWS).as_bytes()).unwrap().len(), MAX_ROWS);
        refused(&body(MAX_ROWS + 1), "more than 10000 rows", "batch");
    }

    proptest::proptest! {
        /// Whatever the bytes, reading them ends in rows or in an error: it neither panics nor leaves ragged columns.
        #[test]
        fn no_body_breaks_the_reader(body in "\\{\"(carrier|rows|x)\": ?(\"[a-z]{0,3}\"|\\[.{0,20}\\]|[0-9.e-]{1,8}), ?\"distance\": ?[0-9]{1,3}\\}") {
            if let Ok(rows) = Rows::from_json(&schema(), body.as_bytes()) {
                proptest::prop_assert!(rows.columns().iter().all(|column| column.len() == rows.len()));
            }
        }
    }
}
