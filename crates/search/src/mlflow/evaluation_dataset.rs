//! Evaluation datasets.

use lw_core::{Error, Result};

use super::clause::{Part, Raw, Shape, refuse};
use super::named::{Group, NUMERIC, Named, attribute_value, check_null, keyed_value, named};
use super::python;
use crate::{Comparison, Field, Number};

const FILTERS: &[&str] = &["name", "created_time", "last_update_time", "created_by", "last_updated_by"];
const ORDERS: &[&str] = &["name", "created_time", "last_update_time"];
const NUMBERS: &[&str] = &["created_time", "last_update_time"];

pub(crate) fn read(shape: Shape<'_>) -> Result<Named> {
    let field = identifier(shape.field, FILTERS)?;
    if shape.value.is_none() {
        check_null(field.0, &field.1)?;
    }
    let named = named(shape, field, value)?;
    if matches!(named.value, Raw::List(_)) && named.comparator != "IN" {
        return Err(refuse("List values for 'name' are only supported with the IN comparator."));
    }
    Ok(named)
}

/// Keys keep their quotes, as in MLflow.
fn identifier(text: &str, attributes: &[&str]) -> Result<(Group, String)> {
    match text.split_once('.') {
        None if attributes.contains(&text) => Ok((Group::Attribute, text.to_owned())),
        None => {
            let valid = python::set(attributes);
            Err(refuse(format!("Invalid attribute key '{text}' specified. Valid keys are: {valid}")))
        }
        Some(("tags", key)) => Ok((Group::Tag, key.to_owned())),
        Some((word, _)) => Err(refuse(format!("Invalid identifier token '{word}' specified"))),
    }
}

fn value(group: Group, key: &str, value: &Part<'_>) -> Result<Raw> {
    match group {
        Group::Attribute => attribute_value(key, value, NUMBERS, &["name"]),
        group => keyed_value(group, value),
    }
}

pub(crate) fn check(named: &Named) -> Result<Comparison> {
    let written = named.comparator.as_str();
    if named.group == Group::Tag {
        if !["=", "!=", "LIKE", "ILIKE"].contains(&written) {
            return Err(refuse(format!("Invalid comparator for tag: {written}")));
        }
        return named.comparison(Field::Tag(named.key.clone()));
    }
    let name = FILTERS.iter().find(|name| **name == named.key).ok_or_else(|| Error::bug("an unchecked attribute"))?;
    if !NUMBERS.contains(name) {
        // MLflow compares texts by size too, and fails on other comparators with an error of its own.
        let is_listed = *name == "name" && written == "IN";
        let known = ["=", "!=", "LIKE", "ILIKE", "RLIKE", "<", "<=", ">", ">="];
        if !is_listed && !known.contains(&written) {
            return Err(refuse(format!("Invalid comparator for string attribute: {written}")));
        }
        return named.comparison(Field::Attribute(name));
    }
    if !NUMERIC.contains(&written) {
        return Err(refuse(format!("Invalid comparator for numeric attribute: {written}")));
    }
    if let Raw::Number(Number::Float(value)) = &named.value {
        let shown = python::repr(&python::float(*value));
        return Err(refuse(format!("Invalid value for numeric attribute '{name}': {shown}")));
    }
    named.whole_number(Field::Attribute(name))
}

/// The field of an order.
pub(crate) fn order(text: &str) -> Result<Field> {
    let (group, key) = identifier(text, ORDERS)?;
    let found = ORDERS.iter().find(|name| **name == key).filter(|_| group == Group::Attribute);
    found.map(|name| Field::Attribute(name)).ok_or_else(|| refuse(format!("Invalid order_by entity: {}", group.word())))
}
