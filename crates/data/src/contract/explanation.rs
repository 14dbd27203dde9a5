//! What a rule says: what it allows, and why a row breaks it.

use arrow::array::{Array, RecordBatch};

use super::rule::{Allowed, Rule, RuleKind};
use crate::conversion::{shown, type_name};

/// Why a row breaks a rule, and the value that does.
pub(crate) struct Explanation {
    pub reason: String,
    pub value: Option<String>,
}

impl Rule {
    /// What the rule allows, where that can be said before any row is seen.
    pub(crate) fn limits(&self) -> Option<String> {
        match &self.kind {
            RuleKind::Type { want, .. } => Some(want.to_string()),
            RuleKind::Required { .. } => Some("not null".to_owned()),
            RuleKind::Min { limit, .. } => Some(format!("at least {}", limit.written)),
            RuleKind::Max { limit, .. } => Some(format!("at most {}", limit.written)),
            RuleKind::OneOf { allowed: Allowed::Texts(texts), .. } => Some(format!("one of {} values", texts.len())),
            RuleKind::OneOf { allowed: Allowed::Values(values), .. } => Some(format!("one of {} values", values.len())),
            RuleKind::Matches { pattern, .. } => Some(written(pattern).to_owned()),
            RuleKind::Row { sql, .. } => Some(sql.clone()),
            RuleKind::Reference(reference) => Some(format!("values of {}", reference.target())),
            RuleKind::Key { .. } | RuleKind::Unique(_) | RuleKind::Outlier(_) | RuleKind::Batch(_) => None,
        }
    }

    /// What the quarantine says of a row that breaks the rule. `found` is what the end of the batch has to say: the limits of an
    /// outlier, the reason of a rule on the whole batch.
    pub(crate) fn explain(&self, raw: &RecordBatch, batch: &RecordBatch, row_index: usize, found: Option<&str>) -> Explanation {
        let cell = |column: usize| (batch.schema().field(column).name().clone(), shown(batch.column(column), row_index));
        let of_cell = |column: usize, told: &dyn Fn(&str, &str) -> String| {
            let (name, value) = cell(column);
            Explanation { reason: told(&name, &value), value: Some(value) }
        };
        match &self.kind {
            RuleKind::Type { column, want } => {
                let name = batch.schema().field(*column).name().clone();
                let raw = raw.column_by_name(&name);
                let (text, found) = raw.map_or_else(Default::default, |raw| (shown(raw, row_index), type_name(raw.data_type())));
                let reason = format!("`{name}` is `{text}` ({found}), not {} {want}", article(want.name()));
                Explanation { reason, value: Some(text) }
            }
            RuleKind::Required { column } => {
                Explanation { reason: format!("`{}` is missing", batch.schema().field(*column).name()), value: None }
            }
            RuleKind::Min { column, limit } => {
                of_cell(*column, &|name, value| format!("`{name}` is {value}, below {}", limit.written))
            }
            RuleKind::Max { column, limit } => {
                of_cell(*column, &|name, value| format!("`{name}` is {value}, above {}", limit.written))
            }
            RuleKind::OneOf { column, .. } => {
                of_cell(*column, &|name, value| format!("`{name}` is `{value}`, which is not one of the allowed values"))
            }
            RuleKind::Matches { column, pattern } => {
                of_cell(*column, &|name, value| format!("`{name}` is `{value}`, which does not match `{}`", written(pattern)))
            }
            RuleKind::Outlier(outlier) => of_cell(outlier.column, &|name, value| {
                format!("`{name}` is {value}, far from the others: outside of {}", found.unwrap_or("their range"))
            }),
            RuleKind::Row { sql, reason, .. } => {
                Explanation { reason: reason.clone().unwrap_or_else(|| format!("`{sql}` is false")), value: None }
            }
            RuleKind::Key { columns } => explain_key(batch, columns, row_index),
            RuleKind::Unique(columns) if !columns.skips_nulls => {
                Explanation { reason: "the row repeats an earlier one".to_owned(), value: None }
            }
            RuleKind::Unique(columns) => {
                let columns: Vec<usize> = columns.columns.iter().map(|(column, _)| *column).collect();
                let (names, values) = joined(batch, &columns, row_index);
                Explanation { reason: format!("an earlier row has ({names}) = ({values})"), value: Some(values) }
            }
            RuleKind::Reference(reference) => {
                let (names, values) = joined(batch, &reference.columns, row_index);
                let reason = format!("({names}) = ({values}) is not in {}", reference.target());
                Explanation { reason, value: Some(values) }
            }
            RuleKind::Batch(_) => {
                Explanation { reason: found.unwrap_or("the batch as a whole breaks the rule").to_owned(), value: None }
            }
        }
    }
}

fn explain_key(batch: &RecordBatch, columns: &[usize], row_index: usize) -> Explanation {
    let (names, values) = joined(batch, columns, row_index);
    if columns.iter().any(|column| batch.column(*column).is_null(row_index)) {
        return Explanation { reason: format!("the key ({names}) has a missing part"), value: None };
    }
    Explanation { reason: format!("another row has the key ({names}) = ({values})"), value: Some(values) }
}

/// The names of some columns, and a row's values of them.
fn joined(batch: &RecordBatch, columns: &[usize], row_index: usize) -> (String, String) {
    let names: Vec<_> = columns.iter().map(|column| batch.schema().field(*column).name().clone()).collect();
    let values: Vec<_> = columns.iter().map(|column| shown(batch.column(*column), row_index)).collect();
    (names.join(", "), values.join(", "))
}

/// The pattern as the user wrote it.
fn written(anchored: &str) -> &str {
    anchored.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(anchored)
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
