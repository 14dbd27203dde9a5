//! Experiments.

use lw_core::{Error, Result};

use super::clause::{Part, Raw, Shape, refuse, trim_key};
use super::named::{Group, KEYED, NUMERIC, Named, TEXT, attribute_value, keyed_value, named, unknown_attribute};
use super::python::{self, to_int};
use crate::{Comparison, Field, Literal, Number};

const ATTRIBUTES: &[&str] = &["name", "experiment_id", "creation_time", "last_update_time"];
const NUMBERS: &[&str] = &["creation_time", "last_update_time"];

pub(crate) fn read(shape: Shape<'_>) -> Result<Named> {
    let field = identifier(shape.field, ATTRIBUTES)?;
    if shape.value.is_none() && field.0 != Group::Tag {
        return Err(refuse(format!("IS NULL / IS NOT NULL is only supported for tags, not for attribute '{}'", field.1)));
    }
    named(shape, field, value)
}

pub(crate) fn identifier(text: &str, attributes: &[&str]) -> Result<(Group, String)> {
    let (group, key) = match text.split_once('.') {
        None => (Group::Attribute, text),
        Some(("attribute" | "attributes", key)) => (Group::Attribute, key),
        Some(("tag" | "tags", key)) => (Group::Tag, key),
        Some((word, _)) => {
            return Err(refuse(format!(
                "Invalid entity type '{word}'. Valid entity types are ('attribute', 'attributes', 'tag', 'tags')"
            )));
        }
    };
    let key = trim_key(key);
    if group == Group::Attribute && !attributes.contains(&key) {
        return Err(unknown_attribute(key, attributes));
    }
    Ok((group, key.to_owned()))
}

fn value(group: Group, key: &str, value: &Part<'_>) -> Result<Raw> {
    match group {
        Group::Attribute => attribute_value(key, value, NUMBERS, &["experiment_id"]),
        group => keyed_value(group, value),
    }
}

pub(crate) fn check(named: &Named) -> Result<Comparison> {
    let capitals = named.capitals();
    if named.group == Group::Tag {
        if !KEYED.contains(&capitals.as_str()) {
            return Err(refuse(format!("Invalid comparator for tag: {capitals}")));
        }
        return named.comparison(Field::Tag(named.key.clone()));
    }
    let field = attribute(&named.key)?;
    if named.key == "experiment_id" {
        if !["=", "!=", "IN", "NOT IN"].contains(&capitals.as_str()) {
            return Err(refuse(format!("Invalid comparator for experiment_id: {capitals}")));
        }
        return id(named, field);
    }
    if !NUMBERS.contains(&named.key.as_str()) {
        named.check_comparator(TEXT, TEXT, "'")?;
        return named.comparison(field);
    }
    named.check_comparator(NUMERIC, TEXT, "")?;
    if let Raw::Number(Number::Float(value)) = &named.value {
        let shown = python::repr(&python::float(*value));
        return Err(refuse(format!("Invalid value for numeric attribute '{}': {shown}", named.key)));
    }
    named.whole_number(field)
}

fn attribute(key: &str) -> Result<Field> {
    let found = ATTRIBUTES.iter().find(|name| **name == key);
    found.map(|name| Field::Attribute(name)).ok_or_else(|| Error::bug("an unchecked attribute"))
}

/// The comparison of an id, which is a number that filters write as a text.
fn id(named: &Named, field: Field) -> Result<Comparison> {
    let id = |text: &String| {
        to_int(text).ok_or_else(|| refuse(format!("Invalid experiment ID '{text}'. Experiment ID must be a valid integer.")))
    };
    let value = match &named.value {
        Raw::Text(text) => Literal::Number(Number::Int(id(text)?)),
        Raw::List(texts) => Literal::Integers(texts.iter().map(id).collect::<Result<_>>()?),
        Raw::Absent | Raw::Number(_) => Literal::Absent,
    };
    Ok(Comparison { value, ..named.comparison(field)? })
}

/// The field of an order.
pub(crate) fn order(text: &str) -> Result<Field> {
    match identifier(text, ATTRIBUTES)? {
        (Group::Attribute, key) => attribute(&key),
        (group, _) => Err(refuse(format!("Invalid order_by entity: {}", group.word()))),
    }
}
