//! One rule of a contract and which rows break it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, Scalar, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::{cmp, regexp::regexp_is_match_scalar};
use lw_core::{Error, Result};
use lw_engine::{Aggregation, Expression};

use super::distribution::Distribution;
use super::label_delay::LabelDelay;
use super::outlier::Outlier;
use super::reference::Reference;
use super::representation::Groups;
use super::sensitive::Sensitive;
use super::unique::UniqueColumns;
use crate::{LearnedVolume, Severity};

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
    /// No other row of the batch has the same values; all declared columns together for `duplicates`.
    Unique(UniqueColumns),
    Outlier(Outlier),
    /// Another table has the values: found there at the end of the batch.
    Reference(Reference),
    Batch(BatchCheck),
}

/// A rule that the batch as a whole keeps or breaks.
pub(crate) enum BatchCheck {
    Aggregate(Aggregation),
    Volume {
        min: Option<u64>,
        max: Option<u64>,
    },
    /// Judged by the history of the table.
    LearnedVolume(LearnedVolume),
    /// Judged by the profiles of this and an earlier version.
    Distribution(Distribution),
    LabelDelay(LabelDelay),
    Sensitive(Sensitive),
    Representation(Groups),
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
    /// The rows of a chunk that break the rule, or none if no row does or more than the chunk decides. Null keeps every rule but
    /// `required`.
    pub(crate) fn broken(&self, batch: &RecordBatch) -> Result<Option<BooleanBuffer>> {
        let broken = match &self.kind {
            RuleKind::Required { column } => nulls(batch.column(*column)),
            RuleKind::Min { column, limit } => is_true(&cmp::lt(batch.column(*column), &limit.value).map_err(bug)?),
            RuleKind::Max { column, limit } => is_true(&cmp::gt(batch.column(*column), &limit.value).map_err(bug)?),
            RuleKind::OneOf { column, allowed } => not_allowed(batch.column(*column), allowed)?,
            RuleKind::Matches { column, pattern } => {
                let matches = regexp_is_match_scalar(batch.column(*column).as_string::<i32>(), pattern, None).map_err(bug)?;
                is_false(&matches)
            }
            RuleKind::Row { check, .. } => is_false(check.evaluate(batch)?.as_boolean()),
            RuleKind::Type { .. }
            | RuleKind::Key { .. }
            | RuleKind::Unique(_)
            | RuleKind::Outlier(_)
            | RuleKind::Reference(_)
            | RuleKind::Batch(_) => return Ok(None),
        };
        Ok((broken.count_set_bits() > 0).then_some(broken))
    }

    /// Whether the batch as a whole keeps or breaks the rule.
    pub(crate) fn is_of_batch(&self) -> bool {
        matches!(self.kind, RuleKind::Batch(_))
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
            // A few texts are found faster by comparing than by hashing.
            const FEW: usize = 16;
            let few: Option<Vec<&str>> = (texts.len() <= FEW).then(|| texts.iter().map(String::as_str).collect());
            let is_allowed = |text: &str| few.as_ref().map_or_else(|| texts.contains(text), |few| few.contains(&text));
            let values = values.as_string::<i32>();
            Ok(BooleanBuffer::collect_bool(values.len(), |row_index| {
                values.is_valid(row_index) && !is_allowed(values.value(row_index))
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
