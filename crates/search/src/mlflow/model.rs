//! Registered models and their versions.

use lw_core::{Error, Result};

use super::clause::{Part, Raw, Shape, refuse, trim_key};
use super::experiment;
use super::named::{Group, NUMERIC, Named, TEXT, check_list, keyed_value, named, unknown_attribute};
use super::python;
use crate::{Comparison, Field, Number};

const VERSION_FILTERS: &[&str] = &["name", "version_number", "run_id", "source_path"];
const VERSION_ORDERS: &[&str] = &["name", "version_number", "creation_timestamp", "last_updated_timestamp"];
const VERSION_NUMBERS: &[&str] = &["version_number", "creation_timestamp", "last_updated_timestamp"];

pub(crate) fn read_model(shape: Shape<'_>) -> Result<Named> {
    check_shape(&shape, "registered model")?;
    let field = identifier(shape.field, &["name"])?;
    named(shape, field, |group, key, part| value(group, key, part, &[], &["name"]))
}

pub(crate) fn read_version(shape: Shape<'_>) -> Result<Named> {
    check_shape(&shape, "model version")?;
    let field = identifier(shape.field, VERSION_FILTERS)?;
    named(shape, field, |group, key, part| value(group, key, part, VERSION_NUMBERS, &["name", "run_id"]))
}

fn check_shape(shape: &Shape<'_>, searched: &str) -> Result<()> {
    match shape.value {
        Some(_) => Ok(()),
        None => Err(refuse(format!("IS NULL / IS NOT NULL is not supported for {searched} search."))),
    }
}

/// Attributes are looked up with their quotes on, so that `` `name` `` is none.
fn identifier(text: &str, attributes: &[&str]) -> Result<(Group, String)> {
    let (group, key) = match text.split_once('.') {
        None => (Group::Attribute, text),
        Some(("attribute", key)) => (Group::Attribute, key),
        Some(("tag" | "tags", key)) => (Group::Tag, key),
        Some((word, _)) => {
            return Err(refuse(format!("Invalid entity type '{word}'. Valid entity types are ('attribute', 'tag', 'tags')")));
        }
    };
    if group == Group::Attribute && !attributes.contains(&key) {
        return Err(unknown_attribute(key, attributes));
    }
    Ok((group, trim_key(key).to_owned()))
}

fn value(group: Group, key: &str, value: &Part<'_>, numbers: &[&str], lists: &[&str]) -> Result<Raw> {
    if group == Group::Tag {
        return keyed_value(group, value);
    }
    if value.is_text() {
        return value.unquoted();
    }
    if value.is_list() {
        check_list(key, lists)?;
        return value.list();
    }
    if value.is_number() && !numbers.is_empty() {
        if numbers.contains(&key) {
            return Ok(value.number());
        }
        let numbers = python::set(numbers);
        return Err(refuse(format!("Only the '{numbers}' attributes support comparison with numeric values.")));
    }
    Err(refuse(format!(
        "Expected a quoted string value or a list of quoted string values for attributes. Got value {}",
        value.text
    )))
}

pub(crate) fn check_model(named: &Named) -> Result<Comparison> {
    match named.group {
        Group::Tag => check_tag(named),
        _ => check_text(named, Field::Attribute("name"), true),
    }
}

pub(crate) fn check_version(named: &Named) -> Result<Comparison> {
    if named.group == Group::Tag {
        return check_tag(named);
    }
    let name = VERSION_FILTERS.iter().find(|name| **name == named.key).ok_or_else(|| Error::bug("an unchecked attribute"))?;
    if *name != "version_number" {
        return check_text(named, Field::Attribute(name), matches!(*name, "name" | "run_id"));
    }
    let capitals = named.capitals();
    if !NUMERIC.contains(&capitals.as_str()) {
        return Err(refuse(format!("Invalid comparator for attribute {name}: {capitals}")));
    }
    if let Raw::Number(Number::Float(value)) = &named.value {
        return Err(refuse(format!("Invalid value for numeric attribute '{name}': {}", python::float(*value))));
    }
    named.whole_number(Field::Attribute(name))
}

fn check_tag(named: &Named) -> Result<Comparison> {
    let capitals = named.capitals();
    if !["=", "!=", "LIKE", "ILIKE"].contains(&capitals.as_str()) {
        return Err(refuse(format!("Invalid comparator for tag: {capitals}")));
    }
    named.comparison(Field::Tag(named.key.clone()))
}

fn check_text(named: &Named, field: Field, takes_list: bool) -> Result<Comparison> {
    let capitals = named.capitals();
    let is_list = matches!(capitals.as_str(), "IN" | "NOT IN");
    if !TEXT.contains(&capitals.as_str()) || (is_list && !takes_list) {
        return Err(refuse(format!("Invalid comparator for attribute: {capitals}")));
    }
    named.comparison(field)
}

/// The field of an order of registered models: both times are the last update for MLflow.
pub(crate) fn order_model(text: &str) -> Result<Field> {
    match text {
        "name" => Ok(Field::Attribute("name")),
        "timestamp" | "last_updated_timestamp" => Ok(Field::Attribute("last_updated_timestamp")),
        other => Err(refuse(format!("Invalid order by key '{other}' specified. Valid keys are '{{'name', 'timestamp'}}'"))),
    }
}

/// The field of an order of versions, where MLflow takes `tag.name` for `name`.
pub(crate) fn order_version(text: &str) -> Result<Field> {
    let (_, key) = experiment::identifier(text, VERSION_ORDERS)?;
    let found = VERSION_ORDERS.iter().find(|name| **name == key);
    found.map(|name| Field::Attribute(name)).ok_or_else(|| {
        let valid = python::set(VERSION_ORDERS);
        refuse(format!("Invalid order by key '{key}' specified. Valid keys are {valid}"))
    })
}
