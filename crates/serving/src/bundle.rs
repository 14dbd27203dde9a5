//! What an endpoint must know of a model version, in one document that stands beside the ONNX artifact.

use std::collections::HashMap;

use lw_core::{DataType, Digest, Error, Name, Result};
use serde::{Deserialize, Serialize};

use crate::failures::INVALID_BUNDLE;

/// The serving half of a model version: where each input of the model comes from and what its output means.
///
/// A bundle is immutable and content-addressed, as the ONNX artifact that it names.
///
/// ```
/// use lw_core::{DataType, Digest, Name};
/// use lw_serving::{Bundle, ModelInput, Output, RequestField};
///
/// let bundle = Bundle {
///     model: Name::parse("late_arrival")?,
///     version: 3,
///     artifact: Digest::of(b"the ONNX file"),
///     id: Some("flight_id".to_owned()),
///     request: vec![RequestField { name: "distance".to_owned(), data_type: DataType::Float64, required: true }],
///     features: vec![],
///     expressions: vec![],
///     inputs: vec![ModelInput { name: "distance".to_owned(), data_type: DataType::Float64 }],
///     output: Output::Probability { threshold: 0.5 },
/// };
/// bundle.check()?;
/// assert_eq!(Bundle::from_json(bundle.to_json().as_bytes())?, bundle);
/// # Ok::<(), lw_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub model: Name,
    pub version: u64,
    /// Digest of the ONNX artifact.
    pub artifact: Digest,
    /// The field that names what a prediction is about, such as `flight_id`. Callers may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What a caller sends.
    pub request: Vec<RequestField>,
    /// What is looked up in the online store.
    #[serde(default)]
    pub features: Vec<FeatureLookup>,
    /// What is computed for each request, in order. An expression may use request fields, features and earlier expressions.
    #[serde(default)]
    pub expressions: Vec<RequestExpression>,
    /// The model's inputs in order: its signature.
    pub inputs: Vec<ModelInput>,
    pub output: Output,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestField {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Whether a row without the field, or with null, is refused.
    pub required: bool,
}

/// One look-up in a feature view: the entity's keys are taken from request fields, the columns join the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureLookup {
    pub view: Name,
    /// The version that the model was trained with. It fixes SQL, TTL and types of the view.
    pub version: u64,
    pub keys: Vec<EntityKey>,
    pub columns: Vec<FeatureColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityKey {
    /// The key's name in the feature view.
    pub entity: String,
    /// The request field that holds it.
    pub field: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureColumn {
    /// The feature's name in its view.
    pub feature: String,
    /// Its name in this model.
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestExpression {
    pub name: String,
    pub sql: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInput {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
}

/// What the model's score means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Output {
    /// Binary classification: the probability of the positive class; `predicted` is true from `threshold` on.
    Probability { threshold: f64 },
    /// Regression: the value itself.
    Value,
}

impl Output {
    /// The predicted class, for a classifier.
    pub fn predicted(self, score: f64) -> Option<bool> {
        match self {
            Self::Probability { threshold } => Some(score >= threshold),
            Self::Value => None,
        }
    }
}

impl Bundle {
    /// The digest of the canonical JSON: what a deployment refers to.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// The canonical JSON, which is stored as an artifact under [`Bundle::digest`].
    pub fn to_json(&self) -> String {
        lw_core::canonical_json(self)
    }

    /// Reads and checks a stored bundle.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let bundle: Self = serde_json::from_slice(bytes)
            .map_err(|error| INVALID_BUNDLE.error(format!("this is not a serving bundle: {error}")))?;
        bundle.check()?;
        Ok(bundle)
    }

    /// Refuses a bundle in which a name stands twice, a key has no request field, or a model input has no source.
    pub fn check(&self) -> Result<()> {
        let mut types: HashMap<&str, DataType> = HashMap::new();
        for (name, data_type) in self.supplied() {
            if types.insert(name, data_type).is_some() {
                return Err(self.invalid(format!("`{name}` stands twice")).hint(
                    "rename the feature or the expression: request fields, features and expressions share one set of names",
                ));
            }
        }
        if let Some(id) = &self.id
            && types.contains_key(id.as_str())
            && !self.request.iter().any(|field| field.name == *id && field.data_type == DataType::String)
        {
            return Err(self.invalid(format!("the id `{id}` has the name of a feature or of a field that is not a string")));
        }
        for (lookup, key) in self.features.iter().flat_map(|lookup| lookup.keys.iter().map(move |key| (lookup, key))) {
            if !self.request.iter().any(|field| field.name == key.field) {
                let message = format!("view `{}` is looked up by `{}`, which is no request field", lookup.view, key.field);
                return Err(self.invalid(message).hint("add the entity's key to `request`"));
            }
        }
        if self.inputs.is_empty() {
            return Err(self.invalid("the model has no inputs".to_owned()));
        }
        for input in &self.inputs {
            match types.get(input.name.as_str()) {
                Some(found) if *found == input.data_type => {}
                Some(found) => {
                    let message = format!("input `{}` is {} in the model and {found} in its source", input.name, input.data_type);
                    return Err(self.invalid(message));
                }
                None => {
                    let error = self.invalid(format!("nothing supplies the model's input `{}`", input.name));
                    let near = lw_core::nearest(&input.name, types.keys().copied());
                    return Err(match near {
                        Some(near) => error.hint(format!("did you mean `{near}`?")),
                        None => error.hint("add it to `request`, `features` or `expressions`"),
                    });
                }
            }
        }
        Ok(())
    }

    /// Every column that a row has before the model sees it: request fields, features, expressions, in this order.
    pub fn supplied(&self) -> impl Iterator<Item = (&str, DataType)> {
        let request = self.request.iter().map(|field| (field.name.as_str(), field.data_type));
        let features =
            self.features.iter().flat_map(|lookup| &lookup.columns).map(|column| (column.name.as_str(), column.data_type));
        let expressions = self.expressions.iter().map(|expression| (expression.name.as_str(), expression.data_type));
        request.chain(features).chain(expressions)
    }

    fn invalid(&self, what: String) -> Error {
        INVALID_BUNDLE.error(format!("the serving bundle of {}@{} is not valid: {what}", self.model, self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        serde_json::from_value(serde_json::json!({
            "model": "late_arrival", "version": 1, "artifact": Digest::of(b"onnx"), "id": "flight_id",
            "request": [{"name": "carrier", "type": "string", "required": true}],
            "features": [{
                "view": "carrier_delays", "version": 2,
                "keys": [{"entity": "carrier", "field": "carrier"}],
                "columns": [{"feature": "delay", "name": "carrier_delay", "type": "float64"}],
            }],
            "expressions": [{"name": "late", "sql": "carrier_delay > 15", "type": "boolean"}],
            "inputs": [{"name": "carrier_delay", "type": "float64"}, {"name": "late", "type": "boolean"}],
            "output": {"kind": "probability", "threshold": 0.5},
        }))
        .unwrap()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Bundle), want: &str) {
        let mut changed = bundle();
        change(&mut changed);
        let error = changed.check().unwrap_err();
        assert!(error.is(INVALID_BUNDLE) && error.message().contains(want), "{error:?}");
    }

    #[test]
    fn a_bundle_survives_its_json_and_its_digest_follows_its_content() {
        let (one, mut two) = (bundle(), bundle());
        assert_eq!(Bundle::from_json(one.to_json().as_bytes()).unwrap(), one);
        assert_eq!(one.digest(), Digest::of(one.to_json().as_bytes()), "stored under its own digest");
        two.version = 2;
        assert_ne!(one.digest(), two.digest());
    }

    #[test]
    fn a_bundle_that_contradicts_itself_is_refused() {
        bundle().check().unwrap();
        check(|b| b.inputs[0].name = "carrier_dely".to_owned(), "nothing supplies the model's input `carrier_dely`");
        check(|b| b.inputs[0].data_type = DataType::Int64, "input `carrier_delay` is int64 in the model and float64");
        check(|b| b.expressions[0].name = "carrier".to_owned(), "`carrier` stands twice");
        check(|b| b.features[0].keys[0].field = "tailnum".to_owned(), "which is no request field");
        check(|b| b.inputs.clear(), "no inputs");
        check(|b| b.id = Some("late".to_owned()), "the id `late`");
    }
}
