//! Events: what webhooks hear of, put into the outbox by the transaction that causes it.

use std::collections::BTreeMap;

use lw_core::{ModelName, Result};
use lw_store::Tx;
use serde_json::{Value, json};

use crate::tag::{PROMPT_TAG, PROMPT_TEXT_TAG, is_prompt};
use crate::{Model, ModelVersion, queries};

/// The outbox topic of deliveries: one message a webhook and event.
pub(crate) const DELIVERY_TOPIC: &str = "webhook.delivery";
/// The tag with the kind of a prompt, which events do not repeat.
const PROMPT_TYPE_TAG: &str = "_mlflow_prompt_type";

macro_rules! events {
    ($($variant:ident => $entity:literal . $action:literal,)*) => {
        /// The kinds of events, as MLflow names them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum EventKind {
            $($variant,)*
        }

        impl EventKind {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn entity(self) -> &'static str {
                match self {
                    $(Self::$variant => $entity,)*
                }
            }

            pub fn action(self) -> &'static str {
                match self {
                    $(Self::$variant => $action,)*
                }
            }
        }
    };
}

events! {
    ModelCreated => "registered_model"."created",
    VersionCreated => "model_version"."created",
    VersionTagSet => "model_version_tag"."set",
    VersionTagDeleted => "model_version_tag"."deleted",
    AliasCreated => "model_version_alias"."created",
    AliasDeleted => "model_version_alias"."deleted",
    PromptCreated => "prompt"."created",
    PromptVersionCreated => "prompt_version"."created",
    PromptTagSet => "prompt_tag"."set",
    PromptTagDeleted => "prompt_tag"."deleted",
    PromptVersionTagSet => "prompt_version_tag"."set",
    PromptVersionTagDeleted => "prompt_version_tag"."deleted",
    PromptAliasCreated => "prompt_alias"."created",
    PromptAliasDeleted => "prompt_alias"."deleted",
    BudgetExceeded => "budget_policy"."exceeded",
}

impl EventKind {
    /// `model_version.created`.
    pub fn name(self) -> String {
        format!("{}.{}", self.entity(), self.action())
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// What a test of a webhook sends.
    pub fn example(self) -> Value {
        let name = match self.entity() {
            entity if entity.starts_with("prompt") => "example_prompt",
            _ => "example_model",
        };
        let tags = json!({"example_key": "example_value"});
        match self {
            Self::ModelCreated => json!({"name": name, "tags": tags, "description": "An example registered model"}),
            Self::VersionCreated => json!({
                "name": name, "version": "1", "source": "models:/123", "run_id": "abcd1234abcd5678", "tags": tags,
                "description": "An example model version",
            }),
            Self::PromptCreated => json!({"name": name, "tags": tags, "description": "An example prompt"}),
            Self::PromptVersionCreated => json!({
                "name": name, "version": "1", "template": "Hello {{name}}!", "tags": tags,
                "description": "An example prompt version",
            }),
            Self::VersionTagSet | Self::PromptVersionTagSet => {
                json!({"name": name, "version": "1", "key": "example_key", "value": "example_value"})
            }
            Self::VersionTagDeleted | Self::PromptVersionTagDeleted => {
                json!({"name": name, "version": "1", "key": "example_key"})
            }
            Self::PromptTagSet => json!({"name": name, "key": "example_key", "value": "example_value"}),
            Self::PromptTagDeleted => json!({"name": name, "key": "example_key"}),
            Self::AliasCreated | Self::PromptAliasCreated => json!({"name": name, "alias": "example_alias", "version": "1"}),
            Self::AliasDeleted | Self::PromptAliasDeleted => json!({"name": name, "alias": "example_alias"}),
            Self::BudgetExceeded => json!({
                "budget_policy_id": "bp-abc123", "budget_unit": "USD", "budget_amount": 100.0, "current_spend": 105.5,
                "duration_unit": "MONTHS", "duration_value": 1, "target_scope": "ENDPOINT", "workspace": "default",
                "target_value": "ep-abc123", "window_start": 1_704_067_200_000_i64,
            }),
        }
    }
}

/// Something that happened, with what webhooks are told about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub kind: EventKind,
    pub data: Value,
}

type Tags = BTreeMap<String, String>;

impl Event {
    fn new(kind: EventKind, data: Value) -> Self {
        Self { kind, data }
    }

    pub fn model_created(model: &Model, tags: &Tags) -> Self {
        let told =
            |kind, tags: Tags| Self::new(kind, json!({"name": model.name, "tags": tags, "description": model.description}));
        if is_prompt(tags) {
            return told(EventKind::PromptCreated, without(tags, &[PROMPT_TAG, PROMPT_TYPE_TAG]));
        }
        told(EventKind::ModelCreated, tags.clone())
    }

    pub fn version_created(version: &ModelVersion, description: Option<&str>, tags: &Tags) -> Self {
        let description = description.filter(|text| !text.is_empty());
        let number = version.version.to_string();
        if is_prompt(tags) {
            let told = without(tags, &[PROMPT_TAG, PROMPT_TYPE_TAG, PROMPT_TEXT_TAG]);
            let data = json!({
                "name": version.model, "version": number, "template": tags.get(PROMPT_TEXT_TAG), "tags": told,
                "description": description,
            });
            return Self::new(EventKind::PromptVersionCreated, data);
        }
        let run = Some(&version.origin.run).filter(|run| !run.is_empty());
        let data = json!({
            "name": version.model, "version": number, "source": version.origin.source, "run_id": run, "tags": tags,
            "description": description,
        });
        Self::new(EventKind::VersionCreated, data)
    }

    pub fn prompt_tag_set(model: &ModelName, key: &str, value: &str) -> Self {
        Self::new(EventKind::PromptTagSet, json!({"name": model, "key": key, "value": value}))
    }

    pub fn prompt_tag_deleted(model: &ModelName, key: &str) -> Self {
        Self::new(EventKind::PromptTagDeleted, json!({"name": model, "key": key}))
    }

    pub fn version_tag_set(is_prompt: bool, model: &ModelName, version: u64, (key, value): (&str, &str)) -> Self {
        let kind = if is_prompt { EventKind::PromptVersionTagSet } else { EventKind::VersionTagSet };
        Self::new(kind, json!({"name": model, "version": version.to_string(), "key": key, "value": value}))
    }

    pub fn version_tag_deleted(is_prompt: bool, model: &ModelName, version: u64, key: &str) -> Self {
        let kind = if is_prompt { EventKind::PromptVersionTagDeleted } else { EventKind::VersionTagDeleted };
        Self::new(kind, json!({"name": model, "version": version.to_string(), "key": key}))
    }

    pub fn alias_created(is_prompt: bool, model: &ModelName, alias: &str, version: u64) -> Self {
        let kind = if is_prompt { EventKind::PromptAliasCreated } else { EventKind::AliasCreated };
        Self::new(kind, json!({"name": model, "alias": alias, "version": version.to_string()}))
    }

    pub fn alias_deleted(is_prompt: bool, model: &ModelName, alias: &str) -> Self {
        let kind = if is_prompt { EventKind::PromptAliasDeleted } else { EventKind::AliasDeleted };
        Self::new(kind, json!({"name": model, "alias": alias}))
    }
}

fn without(tags: &Tags, keys: &[&str]) -> Tags {
    tags.iter().filter(|(key, _)| !keys.contains(&key.as_str())).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Leaves a message for each webhook that wants to hear of the event. `seq` is the ledger entry that records what happened.
pub(crate) fn emit(tx: &mut Tx<'_>, seq: u64, event: &Event) -> Result<()> {
    let at = tx.now();
    for webhook in queries::listeners(tx, event.kind)? {
        let message = json!({
            "webhook": webhook, "event": event.kind.name(), "at": at, "data": event.data, "n_failures": 0,
        });
        tx.outbox(DELIVERY_TOPIC, &format!("{webhook}/{seq}"), &message)?;
    }
    Ok(())
}
