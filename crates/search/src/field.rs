//! What can be searched, and by which of its fields.

use std::fmt;

/// What is searched. Each has its own fields, aliases and comparators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entity {
    Run,
    Experiment,
    RegisteredModel,
    ModelVersion,
    LoggedModel,
    Trace,
    EvaluationDataset,
}

impl Entity {
    pub const ALL: [Self; 7] = [
        Self::Run,
        Self::Experiment,
        Self::RegisteredModel,
        Self::ModelVersion,
        Self::LoggedModel,
        Self::Trace,
        Self::EvaluationDataset,
    ];
}

/// Which texts are filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grammar {
    /// What MLflow 3.18 accepts: comparisons joined by AND. Refusals have MLflow's words.
    Mlflow,
    /// The same fields and comparators, with OR, NOT, parentheses and BETWEEN. Refusals say where and what to do.
    Native,
}

/// A field of the searched entity. Attributes have one canonical name each, whatever alias the user wrote.
///
/// | entity | attributes that a filter or an order can name |
/// |---|---|
/// | run | `run_id`, `run_name`, `status`, `user_id`, `artifact_uri`, `start_time`, `end_time` |
/// | experiment | `experiment_id`, `name`, `creation_time`, `last_update_time` |
/// | registered model | `name`; in orders also `last_updated_timestamp` |
/// | model version | `name`, `version_number`; in filters also `run_id`, `source_path`; in orders also `creation_timestamp`, `last_updated_timestamp` |
/// | logged model | `name`, `model_id`, `model_type`, `status`, `source_run_id`, `experiment_id`, `creation_timestamp`, `last_updated_timestamp` |
/// | trace | `request_id`, `client_request_id`, `status`, `timestamp_ms`, `execution_time_ms`, `end_time_ms`; in orders also `experiment_id` |
/// | evaluation dataset | `name`, `created_by`, `last_updated_by`, `created_time`, `last_update_time` |
///
/// Times are numbers of milliseconds, as in MLflow. `experiment_id` is a number, but for logged models a text, as MLflow compares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    Attribute(&'static str),
    Metric(String),
    Param(String),
    Tag(String),
    /// A dataset that a run read.
    Dataset(DatasetField),
    /// Metadata of a trace. The source run is `mlflow.sourceRun`.
    Metadata(String),
    Span(SpanField),
    /// The valid feedback of this name on a trace.
    Feedback(String),
    /// The valid expectation of this name on a trace.
    Expectation(String),
    /// The id of an issue that a trace is linked to.
    Issue,
    /// A prompt version, `name/version`, that a trace is linked to.
    Prompt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatasetField {
    Name,
    Digest,
    Context,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SpanField {
    Name,
    Type,
    Status,
    /// The whole span as text.
    Content,
    Attribute(String),
}

/// The field as a filter names it: `metrics."val loss"`, `start_time`.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) => f.write_str(name),
            Self::Metric(key) => write_key(f, "metrics", key),
            Self::Param(key) => write_key(f, "params", key),
            Self::Tag(key) => write_key(f, "tags", key),
            Self::Dataset(DatasetField::Name) => f.write_str("dataset.name"),
            Self::Dataset(DatasetField::Digest) => f.write_str("dataset.digest"),
            Self::Dataset(DatasetField::Context) => f.write_str("dataset.context"),
            Self::Metadata(key) => write_key(f, "metadata", key),
            Self::Span(SpanField::Name) => f.write_str("span.name"),
            Self::Span(SpanField::Type) => f.write_str("span.type"),
            Self::Span(SpanField::Status) => f.write_str("span.status"),
            Self::Span(SpanField::Content) => f.write_str("span.content"),
            Self::Span(SpanField::Attribute(key)) => write_key(f, "span.attributes", key),
            Self::Feedback(key) => write_key(f, "feedback", key),
            Self::Expectation(key) => write_key(f, "expectation", key),
            Self::Issue => f.write_str("issue.id"),
            Self::Prompt => f.write_str("prompt"),
        }
    }
}

/// Keys of letters, digits and underscores stand bare; all others in backticks, a backtick in them doubled.
fn write_key(f: &mut fmt::Formatter<'_>, group: &str, key: &str) -> fmt::Result {
    let starts_well = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return write!(f, "{group}.{key}");
    }
    write!(f, "{group}.`{}`", key.replace('`', "``"))
}
