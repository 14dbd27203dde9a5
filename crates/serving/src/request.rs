//! What an endpoint asks of a caller: the fields of every version behind it, taken together.

use std::collections::HashMap;

use lw_core::{DataType, Result};

use crate::failures::REQUEST_MISMATCH;
use crate::{Bundle, RequestField};

/// The longest text that a field may hold, in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;
/// The most rows that one request may carry.
pub const MAX_ROWS: usize = 10_000;

/// The fields that a request may hold, and which of them it must.
#[derive(Debug, PartialEq)]
pub struct RequestSchema {
    /// The names under which a row may say what it is about.
    id: Option<String>,
    fields: Vec<RequestField>,
    index: HashMap<String, usize>,
}

/// What a key of a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Id,
    Field(usize),
}

impl RequestSchema {
    /// Joins what several versions ask for. A field is required if an answering version requires it; a shadow asks for nothing.
    ///
    /// Two versions that give a field different types cannot stand behind one endpoint.
    pub fn union<'a>(answering: impl Iterator<Item = &'a Bundle>, shadows: impl Iterator<Item = &'a Bundle>) -> Result<Self> {
        let mut schema = Self { id: None, fields: Vec::new(), index: HashMap::new() };
        for bundle in answering {
            schema.add(bundle, true)?;
        }
        for bundle in shadows {
            schema.add(bundle, false)?;
        }
        Ok(schema)
    }

    fn add(&mut self, bundle: &Bundle, answers: bool) -> Result<()> {
        if self.id.is_none() {
            self.id.clone_from(&bundle.id);
        }
        for field in &bundle.request {
            let required = field.required && answers;
            match self.index.get(&field.name).and_then(|i| self.fields.get_mut(*i)) {
                None => {
                    self.index.insert(field.name.clone(), self.fields.len());
                    self.fields.push(RequestField { required, ..field.clone() });
                }
                Some(known) if known.data_type == field.data_type => known.required |= required,
                Some(known) => {
                    let (model, version, name) = (&bundle.model, bundle.version, &field.name);
                    return Err(REQUEST_MISMATCH
                        .error(format!(
                            "{model}@{version} asks for `{name}` as {}, another version of this endpoint as {}",
                            field.data_type, known.data_type
                        ))
                        .hint("deploy the new version under another endpoint, or give the changed field a new name"));
                }
            }
        }
        Ok(())
    }

    pub fn fields(&self) -> &[RequestField] {
        &self.fields
    }

    /// The name of the field that identifies a prediction, if the model has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// What `key` of a row stands for. A request field that is the id as well counts as the field.
    pub fn key(&self, key: &str) -> Option<Key> {
        match self.position(key) {
            Some(index) => Some(Key::Field(index)),
            None if self.id.as_deref() == Some(key) => Some(Key::Id),
            None => None,
        }
    }

    /// The request field that is the id as well.
    pub fn id_field(&self) -> Option<usize> {
        self.id.as_deref().and_then(|id| self.position(id))
    }

    /// The fields as a caller reads them in an error: ``carrier` (string), `distance` (float64)``.
    pub fn describe(&self) -> String {
        let fields: Vec<String> = self.fields.iter().map(|field| format!("`{}` ({})", field.name, field.data_type)).collect();
        fields.join(", ")
    }
}

/// An example value of a type, for hints and API descriptions.
pub fn example(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "true",
        DataType::Int32 | DataType::Int64 => "3",
        DataType::Float32 | DataType::Float64 => "2.5",
        DataType::String => "\"AA\"",
        DataType::Date => "\"2013-04-01\"",
        DataType::Timestamp => "\"2013-04-01T06:00:00Z\"",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use lw_core::{Digest, Name};

    use super::*;
    use crate::{ModelInput, Output};

    pub(crate) fn bundle(version: u64, fields: &[(&str, DataType, bool)]) -> Bundle {
        let field = |(name, data_type, required): &(&str, DataType, bool)| RequestField {
            name: (*name).to_owned(),
            data_type: *data_type,
            required: *required,
        };
        Bundle {
            model: Name::parse("late_arrival").unwrap(),
            version,
            artifact: Digest::of(b"onnx"),
            id: Some("flight_id".to_owned()),
            request: fields.iter().map(field).collect(),
            features: vec![],
            expressions: vec![],
            inputs: vec![ModelInput { name: "distance".to_owned(), data_type: DataType::Float64 }],
            output: Output::Probability { threshold: 0.5 },
        }
    }

    const FIELDS: [(&str, DataType, bool); 4] = [
        ("carrier", DataType::String, true),
        ("distance", DataType::Float64, true),
        ("seats", DataType::Int64, false),
        ("at", DataType::Timestamp, false),
    ];

    pub(crate) fn schema() -> Arc<RequestSchema> {
        Arc::new(RequestSchema::union([&bundle(1, &FIELDS)].into_iter(), [].into_iter()).unwrap())
    }

    #[test]
    fn a_field_is_required_if_an_answering_version_requires_it() {
        let (one, two) = (bundle(1, &FIELDS[..2]), bundle(2, &FIELDS[1..]));
        let required = |schema: &RequestSchema| -> Vec<bool> { schema.fields().iter().map(|field| field.required).collect() };
        let with_shadow = RequestSchema::union([&two].into_iter(), [&one].into_iter()).unwrap();
        assert_eq!(required(&with_shadow), [true, false, false, false], "distance, seats, at, carrier");
        let with_canary = RequestSchema::union([&two, &one].into_iter(), [].into_iter()).unwrap();
        assert_eq!(required(&with_canary), [true, false, false, true]);
        assert_eq!(with_canary.key("flight_id"), Some(Key::Id));
        assert_eq!(with_canary.key("carrier"), Some(Key::Field(3)));
        assert_eq!(with_canary.key("x"), None);
    }

    #[test]
    fn one_field_with_two_types_is_refused() {
        let one = bundle(1, &[("distance", DataType::Float64, true)]);
        let two = bundle(2, &[("distance", DataType::Int64, true)]);
        let error = RequestSchema::union([&one, &two].into_iter(), [].into_iter()).unwrap_err();
        assert!(error.is(REQUEST_MISMATCH) && error.message().contains("late_arrival@2"), "{error:?}");
    }
}
