//! Conditions in SQL on all rows of a batch.

use arrow::array::{Array, AsArray};
use lw_core::{Error, Result};
use lw_engine::AggregationAnswer;

use super::verdict::Finding;

/// Null counts as kept, as with a CHECK constraint.
pub(super) fn judge(sql: &str, answer: AggregationAnswer, n_rows: u64) -> Result<Finding> {
    let value = answer.value.as_boolean_opt().ok_or_else(|| Error::bug(format!("`{sql}` is not true or false")))?;
    let is_broken = value.is_valid(0) && !value.value(0);
    let told = answer.parts.iter().map(|part| {
        let value = if part.value.is_empty() { "null" } else { &part.value };
        format!("{} = {value}", part.sql)
    });
    Ok(Finding::of_batch(is_broken, n_rows, told.collect::<Vec<_>>().join(", "), sql))
}
