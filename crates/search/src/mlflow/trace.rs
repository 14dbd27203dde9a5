//! Traces.

use lw_core::{Error, Result};

use super::clause::{Part, Raw, Shape, refuse, trim_backticks, trim_key};
use super::named::{Group, NUMERIC, Named, named, unknown_attribute};
use super::python::{self, to_float, to_int};
use crate::{Comparison, Field, Number, SpanField};

const FILTERS: &[&str] = &[
    "request_id",
    "timestamp",
    "timestamp_ms",
    "execution_time",
    "execution_time_ms",
    "end_time",
    "end_time_ms",
    "status",
    "client_request_id",
    "name",
    "run_id",
    "prompt",
    "text",
];
const ORDERS: &[&str] = &[
    "experiment_id",
    "timestamp",
    "timestamp_ms",
    "execution_time",
    "execution_time_ms",
    "end_time",
    "end_time_ms",
    "status",
    "request_id",
    "name",
    "run_id",
];
const NUMBERS: &[&str] = &["timestamp_ms", "timestamp", "execution_time_ms", "execution_time", "end_time_ms", "end_time"];
const LISTS: &[&str] = &["name", "status", "request_id", "run_id", "client_request_id"];
const GROUPS: &[(&str, Group)] = &[
    ("tag", Group::Tag),
    ("request_metadata", Group::Metadata),
    ("attribute", Group::Attribute),
    ("span", Group::Span),
    ("feedback", Group::Feedback),
    ("expectation", Group::Expectation),
    ("issue", Group::Issue),
    ("tags", Group::Tag),
    ("attributes", Group::Attribute),
    ("trace", Group::Attribute),
    ("metadata", Group::Metadata),
];

const TEXT: &[&str] = &["!=", "=", "IN", "NOT IN", "LIKE", "ILIKE", "RLIKE"];
const KEYED: &[&str] = &["!=", "=", "LIKE", "ILIKE", "RLIKE", "IS NULL", "IS NOT NULL"];
const ASSESSED: &[&str] = &["!=", "=", ">", ">=", "<", "<=", "LIKE", "ILIKE", "RLIKE", "IS NULL", "IS NOT NULL"];
const CONTENT: &[&str] = &["LIKE", "ILIKE"];

const TRACE_NAME: &str = "mlflow.traceName";
const SOURCE_RUN: &str = "mlflow.sourceRun";
const LINKED_PROMPTS: &str = "mlflow.linkedPrompts";
/// Metadata that MLflow keeps in columns and so compares as a whole only.
const RESERVED: &[&str] = &["mlflow.trace.tokenUsage", "mlflow.trace.cost"];

pub(crate) fn read(shape: Shape<'_>) -> Result<Named> {
    let field = identifier(shape.field, FILTERS)?;
    if let Some(part) = &shape.value {
        check_assessment_value(field.0, shape.comparator, part)?;
    }
    let has_value = shape.value.is_some();
    let named = named(shape, field, value)?;
    if has_value && named.group == Group::Span {
        check_span(&named, &named.comparator)?;
    }
    Ok(named)
}

pub(crate) fn group_of(word: &str) -> Option<Group> {
    GROUPS.iter().find(|(name, _)| *name == word).map(|(_, group)| *group)
}

fn identifier(text: &str, attributes: &[&str]) -> Result<(Group, String)> {
    let (group, key) = match text.split_once('.') {
        None => (Group::Attribute, text),
        Some((word, key)) => {
            let word = trim_backticks(word);
            let group = group_of(word).ok_or_else(|| {
                let valid: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
                refuse(format!("Invalid entity type '{word}'. Valid values are {}", python::set(&valid)))
            })?;
            (group, key)
        }
    };
    let key = trim_key(key);
    if group == Group::Attribute && !attributes.contains(&key) {
        return Err(unknown_attribute(key, attributes));
    }
    Ok((group, key.to_owned()))
}

fn check_assessment_value(group: Group, comparator: &str, value: &Part<'_>) -> Result<()> {
    if !matches!(group, Group::Feedback | Group::Expectation) {
        return Ok(());
    }
    let (word, text) = (group.word(), value.text);
    if matches!(comparator, ">" | ">=" | "<" | "<=") {
        if value.is_number() {
            return Ok(());
        }
        return Err(refuse(format!(
            "Expected a numeric value for {word} when using comparator '{comparator}'. Got value {text}"
        )));
    }
    if value.is_text() {
        return Ok(());
    }
    Err(refuse(format!("Expected a quoted string value for {word} (e.g. 'my-value'). Got value {text}")))
}

fn value(group: Group, key: &str, value: &Part<'_>) -> Result<Raw> {
    if value.is_text() {
        return value.unquoted();
    }
    match group {
        Group::Tag | Group::Span if value.is_list() => value.list(),
        Group::Feedback | Group::Expectation if value.is_number() => Ok(value.number()),
        Group::Attribute if value.is_list() => {
            if LISTS.contains(&key) {
                return value.list();
            }
            let lists = python::set(LISTS);
            Err(refuse(format!("Only attributes in {lists} supports comparison with a list of quoted string values.")))
        }
        Group::Attribute if value.is_number() => {
            if NUMBERS.contains(&key) {
                return Ok(value.number());
            }
            let numbers = python::set(NUMBERS);
            Err(refuse(format!("Only the '{numbers}' attributes support comparison with numeric values.")))
        }
        Group::Attribute => Err(refuse(format!(
            "Expected a quoted string value or a list of quoted string values for attributes. Got value {}",
            value.text
        ))),
        group => {
            let word = group.word();
            Err(refuse(format!("Expected a quoted string value for {word} (e.g. 'my-value'). Got value {}", value.text)))
        }
    }
}

fn check_span(named: &Named, comparator: &str) -> Result<()> {
    let key = named.key.as_str();
    let allowed = match key {
        "attributes." => return Err(refuse("Span attribute name cannot be empty after 'attributes.'")),
        "name" | "type" | "status" => TEXT,
        "content" => CONTENT,
        key if key.starts_with("attributes.") => TEXT,
        key => {
            return Err(refuse(format!(
                "Invalid span attribute '{key}'. Supported attributes: name, status, type, attributes.<attribute_name>."
            )));
        }
    };
    if allowed.contains(&comparator) {
        return Ok(());
    }
    Err(refuse(format!("span.{key} comparator '{comparator}' not one of '{}'", python::set(allowed))))
}

/// Keys that stand for something else, whatever group they were written in: `tags.name` is the name of the trace too.
fn translated(group: Group, key: &str) -> (Group, String) {
    if group == Group::Span {
        return (group, key.to_owned());
    }
    let (group, key) = match key.to_lowercase().as_str() {
        "name" => (Group::Tag, TRACE_NAME),
        "prompt" => (Group::Tag, LINKED_PROMPTS),
        "run_id" => (Group::Metadata, SOURCE_RUN),
        "text" => (Group::Span, "content"),
        "timestamp" => (group, "timestamp_ms"),
        "execution_time" => (group, "execution_time_ms"),
        "end_time" => (group, "end_time_ms"),
        _ => (group, key),
    };
    (group, key.to_owned())
}

pub(crate) fn check(named: &Named) -> Result<Comparison> {
    let (group, key) = translated(named.group, &named.key);
    let named = Named { group, key, ..named.clone() };
    let capitals = named.capitals();
    match group {
        Group::Issue => check_issue(&named, &capitals)?,
        Group::Attribute if NUMBERS.contains(&named.key.as_str()) => {
            named.check_comparator(NUMERIC, TEXT, "")?;
            return numeric(&named);
        }
        Group::Attribute => named.check_comparator(TEXT, TEXT, "'")?,
        Group::Tag => named.check_comparator(KEYED, KEYED, "")?,
        Group::Metadata => {
            named.check_comparator(KEYED, KEYED, "'")?;
            check_reserved(&named, &capitals)?;
        }
        Group::Span => check_span(&named, &capitals)?,
        _ => check_assessment(&named, &capitals)?,
    }
    let field = field(group, &named.key)?;
    match &field {
        Field::Prompt => check_prompt(&named, &capitals)?,
        Field::Span(SpanField::Attribute(name)) if matches!(capitals.as_str(), "IN" | "NOT IN") => {
            return Err(refuse(format!("Comparator '{capitals}' is not supported for the span attribute '{name}'")));
        }
        _ => {}
    }
    named.comparison(field)
}

fn check_issue(named: &Named, capitals: &str) -> Result<()> {
    if named.key != "id" {
        return Err(refuse(format!("Invalid issue attribute '{}'. Supported attributes: id", named.key)));
    }
    if capitals != "=" {
        return Err(refuse(format!("issue.id comparator '{capitals}' not one of '{{'='}}'")));
    }
    Ok(())
}

/// MLflow compares a number with a text as its database does; where the text is a number that has a meaning.
fn numeric(named: &Named) -> Result<Comparison> {
    let value =
        match &named.value {
            Raw::Text(text) => {
                let number = to_int(text).map(Number::Int).or_else(|| to_float(text).map(Number::Float));
                Raw::Number(number.ok_or_else(|| {
                    refuse(format!("Invalid value for numeric attribute '{}': {}", named.key, python::repr(text)))
                })?)
            }
            other => other.clone(),
        };
    Named { value, ..named.clone() }.comparison(field(Group::Attribute, &named.key)?)
}

fn check_reserved(named: &Named, capitals: &str) -> Result<()> {
    if !RESERVED.contains(&named.key.as_str()) || matches!(capitals, "=" | "!=" | "IS NULL" | "IS NOT NULL") {
        return Ok(());
    }
    Err(refuse(format!(
        "Comparator '{capitals}' is not supported for reserved metadata '{}'. \
         Only '=', '!=', 'IS NULL', and 'IS NOT NULL' are supported.",
        named.key
    )))
}

fn check_assessment(named: &Named, capitals: &str) -> Result<()> {
    if named.key.is_empty() {
        return Err(refuse("Assessment field name cannot be empty"));
    }
    if ASSESSED.contains(&capitals) {
        return Ok(());
    }
    let (key, allowed) = (&named.key, python::set(ASSESSED));
    Err(refuse(format!("assessment.{key} comparator '{capitals}' not one of '{allowed}'")))
}

fn check_prompt(named: &Named, capitals: &str) -> Result<()> {
    if capitals != "=" {
        return Err(refuse(format!(
            "Invalid comparator '{capitals}' for prompts filter. Only '=' is supported with format: prompt = \"name/version\""
        )));
    }
    match &named.value {
        Raw::Text(text) if text.matches('/').count() != 1 => {
            Err(refuse(format!("Invalid prompts filter value '{text}'. Expected format: prompt = \"name/version\"")))
        }
        _ => Ok(()),
    }
}

fn field(group: Group, key: &str) -> Result<Field> {
    Ok(match group {
        Group::Attribute => {
            let found = FILTERS.iter().chain(ORDERS).find(|name| **name == key);
            Field::Attribute(found.ok_or_else(|| Error::bug("an unchecked attribute"))?)
        }
        Group::Tag if key == LINKED_PROMPTS => Field::Prompt,
        Group::Tag => Field::Tag(key.to_owned()),
        Group::Metadata => Field::Metadata(key.to_owned()),
        Group::Feedback => Field::Feedback(key.to_owned()),
        Group::Expectation => Field::Expectation(key.to_owned()),
        Group::Issue => Field::Issue,
        _ => Field::Span(match key {
            "name" => SpanField::Name,
            "type" => SpanField::Type,
            "status" => SpanField::Status,
            "content" => SpanField::Content,
            key => SpanField::Attribute(trim_backticks(key.trim_start_matches("attributes.")).to_owned()),
        }),
    })
}

/// The field of an order.
pub(crate) fn order(text: &str) -> Result<Field> {
    let (group, key) = identifier(text, ORDERS)?;
    let (group, key) = translated(group, &key);
    match group {
        Group::Metadata if RESERVED.contains(&key.as_str()) => Err(refuse(format!(
            "Ordering by reserved metadata '{key}' is not supported because it is represented by multiple columns."
        ))),
        Group::Attribute | Group::Metadata => field(group, &key),
        Group::Tag => Ok(Field::Tag(key)),
        group => Err(refuse(format!("Invalid identifier type '{}'", group.word()))),
    }
}
