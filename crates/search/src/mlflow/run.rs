//! Runs.

use lw_core::{Error, Result};

use super::clause::{Part, Raw, Shape, refuse, trim_backticks, trim_key};
use super::named::{Group, KEYED, NUMERIC, Named, TEXT, attribute_value, check_null, keyed_value, named, unknown_attribute};
use super::python;
use crate::{Comparison, DatasetField, Field, Literal, Number};

/// The attributes a filter can name: canonical name by name or alias.
const FILTERS: &[(&str, &str)] = &[
    ("artifact_uri", "artifact_uri"),
    ("end_time", "end_time"),
    ("run_id", "run_id"),
    ("run_name", "run_name"),
    ("start_time", "start_time"),
    ("status", "status"),
    ("user_id", "user_id"),
    ("created", "start_time"),
    ("Created", "start_time"),
    ("run name", "run_name"),
    ("Run name", "run_name"),
    ("Run Name", "run_name"),
];
const N_ORDERS: usize = 9;
const NUMBERS: &[&str] = &["start_time", "end_time", "created", "Created"];
const DATASETS: &[(&str, DatasetField)] =
    &[("name", DatasetField::Name), ("digest", DatasetField::Digest), ("context", DatasetField::Context)];

pub(crate) fn read(shape: Shape<'_>) -> Result<Named> {
    let field = identifier(shape.field, FILTERS)?;
    if shape.value.is_none() {
        check_null(field.0, &field.1)?;
    }
    named(shape, field, value)
}

pub(crate) fn group_of(word: &str) -> Option<Group> {
    Some(match word {
        "metric" | "metrics" => Group::Metric,
        "parameter" | "parameters" | "param" | "params" => Group::Param,
        "tag" | "tags" => Group::Tag,
        "attribute" | "attributes" | "attr" | "run" => Group::Attribute,
        "dataset" | "datasets" => Group::Dataset,
        _ => return None,
    })
}

fn identifier(text: &str, attributes: &[(&str, &str)]) -> Result<(Group, String)> {
    let (group, key) = match text.split_once('.') {
        None => (Group::Attribute, text),
        Some((word, key)) => {
            let word = trim_backticks(word);
            let group = group_of(word).ok_or_else(|| {
                refuse(format!(
                    "Invalid entity type '{word}'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"
                ))
            })?;
            (group, key)
        }
    };
    let key = trim_key(key);
    if group == Group::Attribute && !attributes.iter().any(|(name, _)| *name == key) {
        let names: Vec<&str> = attributes.iter().map(|(name, _)| *name).collect();
        return Err(unknown_attribute(key, &names));
    }
    if group == Group::Dataset && !DATASETS.iter().any(|(name, _)| *name == key) {
        let message = format!("Invalid dataset key '{key}' specified. Valid keys are '{{'name', 'digest', 'context'}}'");
        return Err(refuse(message));
    }
    Ok((group, key.to_owned()))
}

fn value(group: Group, key: &str, value: &Part<'_>) -> Result<Raw> {
    match group {
        Group::Metric if value.is_number() => Ok(value.number()),
        Group::Metric => Err(refuse(format!("Expected numeric value type for metric. Found {}", value.text))),
        Group::Dataset if value.is_text() => value.unquoted(),
        Group::Dataset if value.is_list() => value.list(),
        Group::Dataset => Err(refuse(format!("Expected a quoted string value for dataset attributes. Got value {}", value.text))),
        Group::Attribute => attribute_value(key, value, NUMBERS, &["run_id"]),
        group => keyed_value(group, value),
    }
}

pub(crate) fn check(named: &Named) -> Result<Comparison> {
    let field = field(named.group, &named.key)?;
    match named.group {
        Group::Attribute if NUMBERS.contains(&named.key.as_str()) => named.check_comparator(NUMERIC, TEXT, "")?,
        Group::Attribute => named.check_comparator(TEXT, TEXT, "'")?,
        Group::Metric => named.check_comparator(NUMERIC, NUMERIC, "")?,
        Group::Param => named.check_comparator(KEYED, KEYED, "'")?,
        Group::Dataset => named.check_comparator(TEXT, TEXT, "")?,
        _ => named.check_comparator(KEYED, KEYED, "")?,
    }
    let mut comparison = named.comparison(field)?;
    if let (Group::Metric, Literal::Number(Number::Int(value))) = (named.group, &comparison.value) {
        comparison.value = Literal::Number(Number::Float(*value as f64));
    }
    Ok(comparison)
}

fn field(group: Group, key: &str) -> Result<Field> {
    Ok(match group {
        Group::Attribute => {
            let found = FILTERS.iter().find(|(name, _)| *name == key);
            Field::Attribute(found.map(|(_, canonical)| *canonical).ok_or_else(|| Error::bug("an unchecked attribute"))?)
        }
        Group::Metric => Field::Metric(key.to_owned()),
        Group::Param => Field::Param(key.to_owned()),
        Group::Dataset => {
            let found = DATASETS.iter().find(|(name, _)| *name == key);
            Field::Dataset(found.map(|(_, field)| *field).ok_or_else(|| Error::bug("an unchecked dataset field"))?)
        }
        _ => Field::Tag(key.to_owned()),
    })
}

/// The field of an order.
pub(crate) fn order(text: &str) -> Result<Field> {
    let (group, key) = identifier(text, FILTERS.get(..N_ORDERS).unwrap_or(FILTERS))?;
    if group == Group::Dataset {
        return Err(refuse(format!("Invalid identifier type {}", python::repr(group.word()))));
    }
    field(group, &key)
}
