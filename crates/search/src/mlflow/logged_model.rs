//! Logged models, which MLflow reads by rules of their own: values need no quotes, and every text takes a list.

use lw_core::Result;

use super::clause::{Clause, Part, Raw, comparator, refuse};
use super::lexer::Kind;
use super::named::{Group, Named, unknown_attribute};
use super::python::{self, Item, parenthesis, to_float};
use crate::{Comparator, Comparison, Field, Literal, Number};

/// Canonical names by what a filter may write.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("name", "name"),
    ("model_id", "model_id"),
    ("model_type", "model_type"),
    ("status", "status"),
    ("source_run_id", "source_run_id"),
    ("experiment_id", "experiment_id"),
    ("creation_timestamp", "creation_timestamp"),
    ("creation_timestamp_ms", "creation_timestamp"),
    ("creation_time", "creation_timestamp"),
    ("last_updated_timestamp", "last_updated_timestamp"),
    ("last_updated_timestamp_ms", "last_updated_timestamp"),
    ("last_updated_time", "last_updated_timestamp"),
];
const TEXT_OPERATORS: &[&str] = &["=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"];
const NUMBER_OPERATORS: &[&str] = &["<", "<=", ">", ">=", "=", "!="];

/// Reads the clauses of a filter one after the other; the first that is wrong is told.
pub(crate) fn read(filter: &str, clauses: Vec<Clause<'_>>) -> Result<Vec<Comparison>> {
    let mut found = Vec::new();
    for clause in clauses {
        match clause {
            Clause::Comparison(parts) => found.push(comparison(&parts)?),
            Clause::Other(part) if part.text.trim().eq_ignore_ascii_case("AND") => {}
            Clause::Other(_) => {
                return Err(refuse(format!(
                    "Invalid filter string: {}. Expected a list of comparisons separated by 'AND' \
                     (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01').",
                    python::repr(filter)
                )));
            }
        }
    }
    found.into_iter().map(|comparison| finish(&comparison)).collect()
}

/// A field with the name that messages have for it.
struct Identified {
    /// Nothing for an attribute that is none, which MLflow notices last.
    field: Option<Field>,
    shown: String,
    is_number: bool,
}

fn comparison(parts: &[Part<'_>]) -> Result<(Named, Option<Field>)> {
    let [field, operator, value] = parts else {
        let whole: String = parts.iter().map(|part| part.text).collect();
        return Err(refuse(format!("Invalid comparison: {whole}. Expected a comparison with 3 tokens.")));
    };
    let Identified { field, shown, is_number } = identify(field.text)?;
    let capitals = operator.text.to_uppercase();
    let operators = if is_number { NUMBER_OPERATORS } else { TEXT_OPERATORS };
    if !operators.contains(&capitals.as_str()) {
        let operators: Vec<String> = operators.iter().map(|operator| python::repr(operator)).collect();
        return Err(refuse(format!(
            "Invalid comparison operator for {shown}: {}. Expected one of ({}).",
            python::repr(&capitals),
            operators.join(", ")
        )));
    }
    let value = if is_number { number(value)? } else { text_or_list(value)? };
    Ok((Named { group: Group::Attribute, key: shown, comparator: capitals, value }, field))
}

fn identify(text: &str) -> Result<Identified> {
    let is_group = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    let (group, key) = match text.split_once('.').filter(|(word, key)| is_group(word) && !key.is_empty() && !key.contains('\n')) {
        Some((group, key)) => (group, key.trim_matches('`')),
        None => ("attributes", text),
    };
    let key = match group {
        "attributes" => return Ok(attribute(key.trim_matches('`'))),
        _ => key.to_owned(),
    };
    let shown = format!("{group}.{key}");
    match group {
        "metrics" => Ok(Identified { field: Some(Field::Metric(key)), shown, is_number: true }),
        "params" => Ok(Identified { field: Some(Field::Param(key)), shown, is_number: false }),
        "tags" => Ok(Identified { field: Some(Field::Tag(key)), shown, is_number: false }),
        group => Err(refuse(format!(
            "Invalid entity type: {}. Expected one of ['attributes', 'metrics', 'params', 'tags'].",
            python::repr(group)
        ))),
    }
}

fn attribute(key: &str) -> Identified {
    let Some((_, canonical)) = ATTRIBUTES.iter().find(|(name, _)| *name == key) else {
        return Identified { field: None, shown: format!("attributes.{key}"), is_number: false };
    };
    let is_number = canonical.ends_with("_timestamp");
    let shown = if is_number { format!("attributes.{canonical}_ms") } else { format!("attributes.{canonical}") };
    Identified { field: Some(Field::Attribute(canonical)), shown, is_number }
}

fn number(value: &Part<'_>) -> Result<Raw> {
    if value.kind == Kind::Integer {
        return Ok(value.number());
    }
    let number = to_float(value.text);
    number
        .map(|number| Raw::Number(Number::Float(number)))
        .ok_or_else(|| refuse(format!("could not convert string to float: {}", python::repr(value.text))))
}

fn text_or_list(value: &Part<'_>) -> Result<Raw> {
    if !(value.text.starts_with('(') && value.text.ends_with(')')) {
        return Ok(Raw::Text(value.text.trim_matches('\'').to_owned()));
    }
    let items = match parenthesis(value.text) {
        Ok(Item::List(items)) => items,
        Ok(item) => vec![item],
        Err(_) => Vec::new(),
    };
    let texts: Option<Vec<String>> = items
        .into_iter()
        .map(|item| match item {
            Item::Text(text) => Some(text),
            Item::Other(_) | Item::List(_) => None,
        })
        .collect();
    texts
        .filter(|texts| !texts.is_empty())
        .map(Raw::List)
        .ok_or_else(|| refuse(format!("Expected a list of quoted string values, such as ('a', 'b'). Got value {}", value.text)))
}

/// The checks that MLflow leaves to its store.
fn finish((named, field): &(Named, Option<Field>)) -> Result<Comparison> {
    let Some(field) = field else {
        let names: Vec<&str> = ATTRIBUTES.iter().map(|(name, _)| *name).collect();
        return Err(unknown_attribute(named.key.trim_start_matches("attributes."), &names));
    };
    if *field == Field::Attribute("status") {
        if matches!(comparator(&named.comparator), Some(Comparator::Like | Comparator::ILike)) {
            return Err(refuse(format!("Invalid comparison operator for status: {}", named.comparator)));
        }
        check_status(&named.value)?;
    }
    let mut comparison = named.comparison(field.clone())?;
    if let (Literal::Number(Number::Int(value)), Field::Metric(_)) = (&comparison.value, field) {
        comparison.value = Literal::Number(Number::Float(*value as f64));
    }
    Ok(comparison)
}

fn check_status(value: &Raw) -> Result<()> {
    let (texts, shown) = match value {
        Raw::Text(text) => (vec![text.clone()], python::repr(text)),
        Raw::List(texts) => (texts.clone(), python::tuple(&texts.iter().cloned().map(Item::Text).collect::<Vec<_>>())),
        Raw::Absent | Raw::Number(_) => return Ok(()),
    };
    let is_known = |text: &String| ["UNSPECIFIED", "PENDING", "READY", "FAILED"].contains(&text.as_str());
    if texts.iter().all(is_known) { Ok(()) } else { Err(refuse(format!("Unknown model status in filter: {shown}"))) }
}

/// The canonical attribute of an order.
pub(crate) fn order_attribute(name: &str) -> Option<&'static str> {
    let found = ATTRIBUTES.iter().find(|(known, _)| *known == name && *known != "last_updated_time");
    found.map(|(_, canonical)| *canonical)
}
