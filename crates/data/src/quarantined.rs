//! The rows that a source's contract kept out of its table, for people who want to know why.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use lw_core::{Error, Name, Result, Timestamp};
use lw_engine::{Area, Binding, Engine, TableId};
use serde::Serialize;

/// A row as it stood in its file, and what it broke.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuarantinedRow {
    /// When its batch was ingested.
    pub at: Timestamp,
    pub ingest_id: String,
    pub file: String,
    /// From 1, without a header.
    pub row_number: u64,
    /// The rule that kept it out.
    pub rule: String,
    /// All that it broke.
    pub reason: String,
    /// The value that broke the rule.
    pub value: Option<String>,
    /// The row as a JSON object, without its nulls.
    pub raw: serde_json::Value,
}

/// The rows in quarantine of a source, newest batch first, then by file and row; of one rule if it is given.
///
/// # Errors
/// Those of reading the quarantine table. A source that never had a bad row has none: the answer is empty.
pub async fn quarantined(engine: &Engine, source: &Name, rule: Option<&str>, limit: u32) -> Result<Vec<QuarantinedRow>> {
    let table = TableId::new(Area::Quarantine, source.clone());
    let Some(version) = engine.current_version(&table).await? else { return Ok(Vec::new()) };
    let filter = rule.map_or_else(String::new, |rule| format!("WHERE rule = '{}' ", rule.replace('\'', "''")));
    let sql = format!(
        "SELECT at, ingest_id, file, row_number, rule, reason, value, raw FROM {} {filter}ORDER BY at DESC, file, row_number LIMIT {limit}",
        table.sql_name()
    );
    let batches = engine.query(&sql, vec![Binding::table(&table, Some(version))]).await?.collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        for row_index in 0..batch.num_rows() {
            rows.push(row(batch, row_index)?);
        }
    }
    Ok(rows)
}

fn row(batch: &RecordBatch, row_index: usize) -> Result<QuarantinedRow> {
    let text = |column: usize| {
        let column = batch.column(column).as_string::<i32>();
        column.is_valid(row_index).then(|| column.value(row_index).to_owned())
    };
    let known = |column: usize| text(column).unwrap_or_default();
    let raw = known(7);
    Ok(QuarantinedRow {
        at: Timestamp::from_micros(batch.column(0).as_primitive::<TimestampMicrosecondType>().value(row_index)),
        ingest_id: known(1),
        file: known(2),
        row_number: u64::try_from(batch.column(3).as_primitive::<Int64Type>().value(row_index)).unwrap_or_default(),
        rule: known(4),
        reason: known(5),
        value: text(6),
        raw: serde_json::from_str(&raw).map_err(|error| Error::bug("a quarantined row is no JSON").cause(error))?,
    })
}
