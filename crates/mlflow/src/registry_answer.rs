//! Models and versions as MLflow's clients read them, and the registry's refusals in MLflow's words.

use std::collections::BTreeMap;

use lw_core::{Error, ModelName, Timestamp};
use lw_registry::{
    ALIAS_NOT_FOUND, MODEL_EXISTS, MODEL_NOT_FOUND, MODEL_VERSION_NOT_FOUND, ModelRecord, VersionRecord, WEBHOOK_NOT_FOUND,
};
use serde_json::{Value, json};

use crate::message::Fields;
use crate::refusal::{Answer, ErrorCode, Refusal};

pub(crate) fn milliseconds(time: Timestamp) -> i64 {
    time.micros().div_euclid(1000)
}

pub(crate) fn model(record: &ModelRecord) -> Value {
    let mut answer = json!({
        "name": record.model.name,
        "creation_timestamp": milliseconds(record.model.created_at),
        "last_updated_timestamp": milliseconds(record.model.updated_at),
    });
    if !record.model.description.is_empty() {
        answer["description"] = record.model.description.as_str().into();
    }
    if !record.latest.is_empty() {
        // The newest versions of a model come without their aliases, which stand beside them.
        answer["latest_versions"] = record.latest.iter().map(|version| version_with(version, &[])).collect();
    }
    put_tags(&mut answer, &record.tags);
    if !record.aliases.is_empty() {
        let alias = |pointer: &lw_registry::AliasPointer| json!({"alias": pointer.alias, "version": pointer.version.to_string()});
        answer["aliases"] = record.aliases.iter().map(alias).collect();
    }
    answer
}

pub(crate) fn version(record: &VersionRecord) -> Value {
    version_with(record, &record.aliases)
}

fn version_with(record: &VersionRecord, aliases: &[lw_registry::Alias]) -> Value {
    let VersionRecord { version, state, tags, .. } = record;
    let mut answer = json!({
        "name": version.model,
        "version": version.version.to_string(),
        "creation_timestamp": milliseconds(version.registered_at),
        "last_updated_timestamp": milliseconds(state.updated_at),
        "current_stage": state.stage,
        "source": version.origin.source,
        "run_id": version.origin.run,
        "run_link": version.origin.run_link,
        "status": "READY",
    });
    if let Some(description) = &state.description {
        answer["description"] = description.as_str().into();
    }
    put_tags(&mut answer, tags);
    if !aliases.is_empty() {
        answer["aliases"] = json!(aliases);
    }
    answer
}

fn put_tags(answer: &mut Value, tags: &BTreeMap<String, String>) {
    if !tags.is_empty() {
        answer["tags"] = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    }
}

/// What a request is about, for the words of a refusal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    pub model: &'a str,
    pub version: Option<i64>,
    pub alias: &'a str,
}

impl<'a> About<'a> {
    pub fn model(name: &'a ModelName) -> Self {
        Self { model: name.as_str(), ..Self::default() }
    }

    pub fn version(name: &'a ModelName, version: i64) -> Self {
        Self { version: Some(version), ..Self::model(name) }
    }

    pub fn alias(name: &'a ModelName, alias: &'a str) -> Self {
        Self { alias, ..Self::model(name) }
    }

    pub fn refusal(&self, error: Error) -> Refusal {
        let model = self.model;
        if error.is(MODEL_NOT_FOUND) {
            return Refusal::missing(format!("Registered Model with name={model} not found"));
        }
        if error.is(MODEL_VERSION_NOT_FOUND) {
            return match self.version {
                Some(version) => no_version(model, version),
                None => Refusal::missing(error.message()),
            };
        }
        if error.is(ALIAS_NOT_FOUND) {
            return Refusal::invalid(format!("Registered model alias {} not found.", self.alias));
        }
        if error.is(MODEL_EXISTS) {
            return Refusal::new(ErrorCode::ResourceAlreadyExists, error.message());
        }
        if error.is(WEBHOOK_NOT_FOUND) {
            return Refusal::missing(error.message());
        }
        error.into()
    }
}

fn no_version(model: &str, version: i64) -> Refusal {
    Refusal::missing(format!("Model Version (name={model}, version={version}) not found"))
}

/// The name of the model that a request is about.
pub(crate) fn name(fields: &Fields<'_>) -> Answer<ModelName> {
    Ok(ModelName::parse(fields.required_text("name")?)?)
}

/// The number of a version, which clients send as a text.
pub(crate) fn number(text: &str) -> Answer<i64> {
    let trimmed = text.trim();
    trimmed.parse().map_err(|_| {
        let shown: String = text.chars().take(100).collect();
        Refusal::invalid(format!("Parameter 'version' must be an integer, got '{shown}'."))
    })
}

/// A number that a version may have; there are no others.
pub(crate) fn existing(model: &ModelName, version: i64) -> Answer<u64> {
    u64::try_from(version).map_err(|_| no_version(model.as_str(), version))
}

/// The tags of a new thing: the last one of a key counts.
pub(crate) fn tags(fields: &Fields<'_>) -> Answer<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for tag in fields.list("tags")? {
        tags.insert(tag.text("key")?.unwrap_or_default().to_owned(), tag.text("value")?.unwrap_or_default().to_owned());
    }
    Ok(tags)
}

/// How many results a search gives at most.
pub(crate) fn max_results(fields: &Fields<'_>, default: i64, most: i64) -> Answer<i64> {
    let given = fields.integer("max_results")?.unwrap_or(default);
    if given > most {
        return Err(fields.refused("max_results"));
    }
    Ok(given)
}
