//! Which fields a filter of the native grammar can name and what each takes.

use lw_core::{Result, nearest};

use super::parser::refuse;
use crate::{Comparator, DatasetField, Entity, Field, SpanField};

/// What a field is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Metric,
    Number,
    /// A whole number that may stand in quotes.
    Id,
    Text,
    /// A text that regular expressions search too.
    TracedText,
    Content,
    /// A text or a number.
    Assessment,
    Issue,
    Prompt,
}

impl Takes {
    pub(crate) fn comparators(self) -> &'static [Comparator] {
        use Comparator::{
            Between, Equal, Greater, GreaterOrEqual, ILike, In, IsNotNull, IsNull, Less, LessOrEqual, Like, NotEqual, NotIn,
            RLike,
        };
        match self {
            Self::Metric | Self::Number => {
                &[Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, Between, IsNull, IsNotNull]
            }
            Self::Id => &[Equal, NotEqual, In, NotIn],
            Self::Text => &[Equal, NotEqual, Like, ILike, In, NotIn, IsNull, IsNotNull],
            Self::TracedText => &[Equal, NotEqual, Like, ILike, RLike, In, NotIn, IsNull, IsNotNull],
            Self::Content => &[Like, ILike],
            Self::Assessment => {
                &[Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, Between, Like, ILike, RLike, IsNull, IsNotNull]
            }
            Self::Issue | Self::Prompt => &[Equal],
        }
    }

    pub(crate) fn only_numbers(self) -> bool {
        matches!(self, Self::Metric | Self::Number)
    }
}

type Attributes = &'static [(&'static str, &'static str, Takes)];

/// The names of attributes with their canonical names.
fn attributes(entity: Entity) -> Attributes {
    use Takes::{Id, Number, Text, TracedText};
    match entity {
        Entity::Run => &[
            ("run_id", "run_id", Text),
            ("run_name", "run_name", Text),
            ("status", "status", Text),
            ("user_id", "user_id", Text),
            ("artifact_uri", "artifact_uri", Text),
            ("start_time", "start_time", Number),
            ("created", "start_time", Number),
            ("end_time", "end_time", Number),
        ],
        Entity::Experiment => &[
            ("experiment_id", "experiment_id", Id),
            ("name", "name", Text),
            ("creation_time", "creation_time", Number),
            ("last_update_time", "last_update_time", Number),
        ],
        Entity::RegisteredModel => &[("name", "name", Text)],
        Entity::ModelVersion => &[
            ("name", "name", Text),
            ("version_number", "version_number", Number),
            ("run_id", "run_id", Text),
            ("source_path", "source_path", Text),
        ],
        Entity::LoggedModel => &[
            ("name", "name", Text),
            ("model_id", "model_id", Text),
            ("model_type", "model_type", Text),
            ("status", "status", Text),
            ("source_run_id", "source_run_id", Text),
            ("experiment_id", "experiment_id", Text),
            ("creation_timestamp", "creation_timestamp", Number),
            ("creation_time", "creation_timestamp", Number),
            ("last_updated_timestamp", "last_updated_timestamp", Number),
        ],
        Entity::Trace => &[
            ("request_id", "request_id", TracedText),
            ("client_request_id", "client_request_id", TracedText),
            ("status", "status", TracedText),
            ("timestamp_ms", "timestamp_ms", Number),
            ("timestamp", "timestamp_ms", Number),
            ("execution_time_ms", "execution_time_ms", Number),
            ("execution_time", "execution_time_ms", Number),
            ("end_time_ms", "end_time_ms", Number),
            ("end_time", "end_time_ms", Number),
        ],
        Entity::EvaluationDataset => &[
            ("name", "name", Text),
            ("created_by", "created_by", Text),
            ("last_updated_by", "last_updated_by", Text),
            ("created_time", "created_time", Number),
            ("last_update_time", "last_update_time", Number),
        ],
    }
}

/// What can stand before the point of a field.
fn groups(entity: Entity) -> &'static [&'static str] {
    match entity {
        Entity::Run => &["metrics", "params", "tags", "dataset", "attributes"],
        Entity::LoggedModel => &["metrics", "params", "tags", "attributes"],
        Entity::Trace => &["tags", "metadata", "span", "feedback", "expectation", "issue", "attributes"],
        Entity::Experiment | Entity::RegisteredModel | Entity::ModelVersion | Entity::EvaluationDataset => {
            &["tags", "attributes"]
        }
    }
}

/// The usual form of a group's name.
fn usual(group: &str) -> &str {
    match group {
        "metric" => "metrics",
        "param" | "parameter" | "parameters" => "params",
        "tag" => "tags",
        "attribute" | "attr" | "run" | "trace" => "attributes",
        "datasets" => "dataset",
        "request_metadata" => "metadata",
        other => other,
    }
}

/// The field that these parts of a name mean; the name begins at a character.
pub(crate) fn field(entity: Entity, parts: &[String], at: usize) -> Result<(Field, Takes)> {
    let (group, key) = match parts {
        [only] => ("attributes", only.clone()),
        [group, key @ ..] => (usual(group), key.join(".")),
        [] => ("attributes", String::new()),
    };
    let known = groups(entity);
    if !known.contains(&group) {
        let hint = match nearest(group, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}.{key}`?"),
            None => format!("fields are {} of these, or bare attributes", known.join(", ")),
        };
        return Err(refuse(at, format!("`{group}` has no fields here")).hint(hint));
    }
    if key.is_empty() {
        return Err(refuse(at, format!("`{group}.` needs a key behind the point")).hint(format!("write {group}.name")));
    }
    let text = if entity == Entity::Trace { Takes::TracedText } else { Takes::Text };
    Ok(match group {
        "metrics" => (Field::Metric(key), Takes::Metric),
        "params" => (Field::Param(key), text),
        "tags" if entity == Entity::Trace && key == "mlflow.linkedPrompts" => (Field::Prompt, Takes::Prompt),
        "tags" => (Field::Tag(key), text),
        "metadata" => (Field::Metadata(key), text),
        "feedback" => (Field::Feedback(key), Takes::Assessment),
        "expectation" => (Field::Expectation(key), Takes::Assessment),
        "dataset" => match key.as_str() {
            "name" => (Field::Dataset(DatasetField::Name), text),
            "digest" => (Field::Dataset(DatasetField::Digest), text),
            "context" => (Field::Dataset(DatasetField::Context), text),
            _ => return Err(unknown(at, "dataset.", &key, &["name", "digest", "context"])),
        },
        "issue" if key == "id" => (Field::Issue, Takes::Issue),
        "issue" => return Err(unknown(at, "issue.", &key, &["id"])),
        "span" => return span(&key, at),
        _ => return attribute(entity, &key, at),
    })
}

fn span(key: &str, at: usize) -> Result<(Field, Takes)> {
    let (field, takes) = match key {
        "name" => (SpanField::Name, Takes::TracedText),
        "type" => (SpanField::Type, Takes::TracedText),
        "status" => (SpanField::Status, Takes::TracedText),
        "content" => (SpanField::Content, Takes::Content),
        key => match key.strip_prefix("attributes.").filter(|name| !name.is_empty()) {
            Some(name) => (SpanField::Attribute(name.to_owned()), Takes::TracedText),
            None => return Err(unknown(at, "span.", key, &["name", "type", "status", "content", "attributes.KEY"])),
        },
    };
    Ok((Field::Span(field), takes))
}

fn attribute(entity: Entity, key: &str, at: usize) -> Result<(Field, Takes)> {
    if entity == Entity::Trace {
        // MLflow keeps these elsewhere and lets filters name them like attributes.
        match key {
            "name" => return Ok((Field::Tag("mlflow.traceName".to_owned()), Takes::TracedText)),
            "run_id" => return Ok((Field::Metadata("mlflow.sourceRun".to_owned()), Takes::TracedText)),
            "prompt" => return Ok((Field::Prompt, Takes::Prompt)),
            "text" => return Ok((Field::Span(SpanField::Content), Takes::Content)),
            _ => {}
        }
    }
    let known = attributes(entity);
    match known.iter().find(|(name, ..)| *name == key) {
        Some((_, canonical, takes)) => Ok((Field::Attribute(canonical), *takes)),
        None => Err(unknown(at, "", key, &known.iter().map(|(name, ..)| *name).collect::<Vec<_>>())),
    }
}

fn unknown(at: usize, group: &str, key: &str, known: &[&str]) -> lw_core::Error {
    let hint = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{group}{near}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    refuse(at, format!("there is no field `{group}{key}`")).hint(hint)
}
