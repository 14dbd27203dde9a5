//! Comparisons with their fields named, before anybody asks whether the comparator fits: MLflow reads all comparisons of a filter
//! before it checks the first.

use lw_core::Result;

use super::clause::{Part, Raw, Shape, comparator, refuse};
use super::python::{self, to_int};
use crate::{Comparator, Comparison, Field, Literal, Number};

/// What a field belongs to, in MLflow's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Attribute,
    Metric,
    Param,
    Tag,
    Dataset,
    Metadata,
    Span,
    Feedback,
    Expectation,
    Issue,
}

impl Group {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Attribute => "attribute",
            Self::Metric => "metric",
            Self::Param => "parameter",
            Self::Tag => "tag",
            Self::Dataset => "dataset",
            Self::Metadata => "request_metadata",
            Self::Span => "span",
            Self::Feedback => "feedback",
            Self::Expectation => "expectation",
            Self::Issue => "issue",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    pub group: Group,
    pub key: String,
    /// As it was written.
    pub comparator: String,
    pub value: Raw,
}

pub(crate) const NUMERIC: &[&str] = &[">", ">=", "!=", "=", "<", "<="];
pub(crate) const TEXT: &[&str] = &["!=", "=", "LIKE", "ILIKE", "IN", "NOT IN"];
pub(crate) const KEYED: &[&str] = &["!=", "=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"];

impl Named {
    pub(crate) fn capitals(&self) -> String {
        self.comparator.to_uppercase()
    }

    /// Refuses a comparator outside of a set, with the punctuation that MLflow uses at this place.
    pub(crate) fn check_comparator(&self, allowed: &[&str], shown: &[&str], end: &str) -> Result<()> {
        let capitals = self.capitals();
        if allowed.contains(&capitals.as_str()) {
            return Ok(());
        }
        Err(refuse(format!("Invalid comparator '{capitals}' not one of '{}{end}", python::set(shown))))
    }

    /// The comparison, with a list only where IN or NOT IN takes one.
    pub(crate) fn comparison(&self, field: Field) -> Result<Comparison> {
        let capitals = self.capitals();
        let comparator = comparator(&capitals).ok_or_else(|| refuse(format!("Invalid comparator '{}'", self.comparator)))?;
        let takes_list = matches!(comparator, Comparator::In | Comparator::NotIn);
        let value = match &self.value {
            Raw::Absent => Literal::Absent,
            Raw::Text(text) => Literal::Text(text.clone()),
            Raw::Number(number) => Literal::Number(*number),
            Raw::List(texts) => Literal::Texts(texts.clone()),
        };
        if takes_list != matches!(value, Literal::Texts(_)) {
            let wanted = if takes_list { "a list of quoted string values" } else { "a single value" };
            return Err(refuse(format!("Comparator '{capitals}' requires {wanted}, as in {field} {}", example(comparator))));
        }
        Ok(Comparison { field, comparator, value })
    }

    /// The comparison of a whole number, which MLflow also takes in quotes.
    pub(crate) fn whole_number(&self, field: Field) -> Result<Comparison> {
        let refused = |shown: &str| refuse(format!("Invalid value for numeric attribute '{}': {shown}", self.key));
        let number = match &self.value {
            Raw::Number(Number::Float(value)) => return Err(refused(&python::float(*value))),
            Raw::Number(number) => *number,
            Raw::Text(text) => Number::Int(to_int(text).ok_or_else(|| refused(&python::repr(text)))?),
            Raw::List(_) | Raw::Absent => return Err(refused("a list")),
        };
        Named { value: Raw::Number(number), ..self.clone() }.comparison(field)
    }
}

fn example(comparator: Comparator) -> &'static str {
    match comparator {
        Comparator::In | Comparator::NotIn => "IN ('a', 'b')",
        _ => "= 'a'",
    }
}

/// The value of a tag or parameter: a text in quotes.
pub(crate) fn keyed_value(group: Group, value: &Part<'_>) -> Result<Raw> {
    if value.is_text() {
        return value.unquoted();
    }
    let word = group.word();
    Err(refuse(format!("Expected a quoted string value for {word} (e.g. 'my-value'). Got value {}", value.text)))
}

/// Refuses a list for an attribute that takes none.
pub(crate) fn check_list(key: &str, allowed: &[&str]) -> Result<()> {
    if allowed.contains(&key) {
        return Ok(());
    }
    let allowed = python::list(allowed);
    Err(refuse(format!("Only {allowed} attributes support comparison with a list of quoted string values.")))
}

/// The value of an attribute that is a number or a text, by the rules that most searches share.
pub(crate) fn attribute_value(key: &str, value: &Part<'_>, numeric: &[&str], lists: &[&str]) -> Result<Raw> {
    if numeric.contains(&key) {
        if value.is_number() {
            return Ok(value.number());
        }
        let message = format!("Expected numeric value type for numeric attribute: {key}. Found {}", value.text);
        return Err(refuse(message));
    }
    if value.is_text() {
        return value.unquoted();
    }
    if value.is_list() {
        check_list(key, lists)?;
        return value.list();
    }
    Err(refuse(format!("Expected a quoted string value for attributes. Got value {}", value.text)))
}

/// IS NULL where only tags, or only tags and parameters, take it.
pub(crate) fn check_null(group: Group, key: &str) -> Result<()> {
    if matches!(group, Group::Tag | Group::Param) {
        return Ok(());
    }
    Err(refuse(format!("IS NULL / IS NOT NULL is only supported for tags and params, not for '{}' '{key}'", group.word())))
}

pub(crate) fn unknown_attribute(key: &str, valid: &[&str]) -> lw_core::Error {
    refuse(format!("Invalid attribute key '{key}' specified. Valid keys are '{}'", python::set(valid)))
}

/// Names the field of a shape and reads its value.
pub(crate) fn named(
    shape: Shape<'_>,
    (group, key): (Group, String),
    value: impl FnOnce(Group, &str, &Part<'_>) -> Result<Raw>,
) -> Result<Named> {
    let value = match &shape.value {
        None => Raw::Absent,
        Some(part) => value(group, &key, part)?,
    };
    Ok(Named { group, key, comparator: shape.comparator.to_owned(), value })
}
