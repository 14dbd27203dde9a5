//! One rule of a contract and which rows break it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, Scalar, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::{cmp, regexp::regexp_is_match_scalar};
use lw_core::{Error, Result};
use lw_engine::Expression;

use crate::Severity;
use crate::conversion::shown;

/// A compiled rule. Its name is `column.rule` for rules of a column, `key`, or the name of a row rule.
pub(crate) struct Rule {
    pub name: String,
    pub severity: Severity,
    pub kind: RuleKind,
}

pub(crate) enum RuleKind {
    /// The value fits the declared type: found while converting.
    Type {
        column: usize,
        want: lw_core::DataType,
    },
    Required {
        column: usize,
    },
    Min {
        column: usize,
        limit: Limit,
    },
    Max {
        column: usize,
        limit: Limit,
    },
    OneOf {
        column: usize,
        allowed: Allowed,
    },
    Matches {
        column: usize,
        pattern: String,
    },
    Row {
        check: Expression,
        sql: String,
        reason: Option<String>,
    },
    /// No other row has the same key: found over all chunks and versions.
    Key {
        columns: Vec<usize>,
    },
}

/// A bound of the column's type, and how the user wrote it.
pub(crate) struct Limit {
    pub value: Scalar<ArrayRef>,
    pub written: String,
}

pub(crate) enum Allowed {
    Texts(HashSet<String>),
    Values(Vec<Scalar<ArrayRef>>),
}

impl Rule {
    /// The rows of a chunk that break the rule, or none if no row does. Null keeps every rule but `required`.
    pub(crate) fn broken(&self, batch: &RecordBatch) -> Result<Option<BooleanBuffer>> {
        let broken = match &self.kind {
            RuleKind::Type { .. } | RuleKind::Key { .. } => return Ok(None),
            RuleKind::Required { column } => nulls(batch.column(*column)),
            RuleKind::Min { column, limit } => is_true(&cmp::lt(batch.column(*column), &limit.value).map_err(bug)?),
            RuleKind::Max { column, limit } => is_true(&cmp::gt(batch.column(*column), &limit.value).map_err(bug)?),
            RuleKind::OneOf { column, allowed } => not_allowed(batch.column(*column), allowed)?,
            RuleKind::Matches { column, pattern } => {
                let matches = regexp_is_match_scalar(batch.column(*column).as_string::<i32>(), pattern, None).map_err(bug)?;
                is_false(&matches)
            }
            RuleKind::Row { check, .. } => is_false(check.evaluate(batch)?.as_boolean()),
        };
        Ok((broken.count_set_bits() > 0).then_some(broken))
    }

    /// What the quarantine says of a row that breaks the rule, and the value that breaks it.
    pub(crate) fn explain(&self, raw: &RecordBatch, batch: &RecordBatch, row_index: usize) -> (String, Option<String>) {
        let field = |column: usize| batch.schema().field(column).name().clone();
        let value = |column: usize| shown(batch.column(column), row_index);
        match &self.kind {
            RuleKind::Type { column, want } => {
                let name = field(*column);
                let raw = raw.column_by_name(&name);
                let (text, found) = raw
                    .map_or_else(Default::default, |raw| (shown(raw, row_index), crate::conversion::type_name(raw.data_type())));
                (format!("`{name}` is `{text}` ({found}), not {} {want}", article(want.name())), Some(text))
            }
            RuleKind::Required { column } => (format!("`{}` is missing", field(*column)), None),
            RuleKind::Min { column, limit } => {
                (format!("`{}` is {}, below {}", field(*column), value(*column), limit.written), Some(value(*column)))
            }
            RuleKind::Max { column, limit } => {
                (format!("`{}` is {}, above {}", field(*column), value(*column), limit.written), Some(value(*column)))
            }
            RuleKind::OneOf { column, .. } => (
                format!("`{}` is `{}`, which is not one of the allowed values", field(*column), value(*column)),
                Some(value(*column)),
            ),
            RuleKind::Matches { column, pattern } => {
                let written = pattern.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(pattern);
                (format!("`{}` is `{}`, which does not match `{written}`", field(*column), value(*column)), Some(value(*column)))
            }
            RuleKind::Row { sql, reason, .. } => (reason.clone().unwrap_or_else(|| format!("`{sql}` is false")), None),
            RuleKind::Key { columns } => {
                let names: Vec<_> = columns.iter().map(|column| field(*column)).collect();
                if columns.iter().any(|column| batch.column(*column).is_null(row_index)) {
                    return (format!("the key ({}) has a missing part", names.join(", ")), None);
                }
                let key = columns.iter().map(|column| value(*column)).collect::<Vec<_>>().join(", ");
                (format!("another row has the key ({}) = ({key})", names.join(", ")), Some(key))
            }
        }
    }
}

/// The pattern that the whole value must match.
pub(crate) fn anchored(pattern: &str) -> String {
    format!("^(?:{pattern})$")
}

/// Whether a pattern compiles; the message says where not.
pub(crate) fn check_pattern(pattern: &str) -> std::result::Result<(), String> {
    let probe = StringArray::from(vec![""]);
    regexp_is_match_scalar(&probe, &anchored(pattern), None).map(drop).map_err(|error| error.to_string())
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn nulls(values: &ArrayRef) -> BooleanBuffer {
    values.logical_nulls().map_or_else(|| BooleanBuffer::new_unset(values.len()), |nulls| !nulls.inner())
}

fn is_true(verdicts: &arrow::array::BooleanArray) -> BooleanBuffer {
    verdicts.nulls().map_or_else(|| verdicts.values().clone(), |valid| verdicts.values() & valid.inner())
}

fn is_false(verdicts: &arrow::array::BooleanArray) -> BooleanBuffer {
    let negated = !verdicts.values();
    verdicts.nulls().map_or_else(|| negated.clone(), |valid| &negated & valid.inner())
}

fn not_allowed(values: &ArrayRef, allowed: &Allowed) -> Result<BooleanBuffer> {
    match allowed {
        Allowed::Texts(texts) => {
            let values = values.as_string::<i32>();
            Ok(BooleanBuffer::collect_bool(values.len(), |row_index| {
                values.is_valid(row_index) && !texts.contains(values.value(row_index))
            }))
        }
        Allowed::Values(allowed) => {
            let mut found = nulls(values);
            for value in allowed {
                found = &found | &is_true(&cmp::eq(values, value).map_err(bug)?);
            }
            Ok(!&found)
        }
    }
}

/// A column of one value as a bound to compare with.
pub(crate) fn scalar(value: ArrayRef) -> Scalar<ArrayRef> {
    Scalar::new(Arc::clone(&value))
}

fn bug(error: arrow::error::ArrowError) -> Error {
    Error::bug("a compiled rule does not fit its column").cause(error)
}
