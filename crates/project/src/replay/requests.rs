//! The requests that production would have sent: one for each example, at its prediction time.

use arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::json::ArrayWriter;
use lw_core::{Error, Result, Timestamp};
use lw_engine::{Binding, Engine};
use lw_features::TableVersion;

use crate::definition::ModelDefinition;

/// Requests in the order of their prediction times.
pub struct RequestFeed {
    at: TimestampMicrosecondArray,
    /// The id and the request fields.
    rows: RecordBatch,
    next: usize,
}

/// Rows of one request: the endpoint accepts more, but no caller waits for longer bodies.
const MAX_ROWS: usize = 1_000;

impl RequestFeed {
    /// Reads the examples that are predicted at `from` or later and before `to`, whatever became of them.
    pub async fn open(
        engine: &Engine,
        model: &ModelDefinition,
        table: &TableVersion,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Self> {
        let predicts = &model.predicts;
        let utc = "'Timestamp(Microsecond, Some(\"UTC\"))'";
        let mut fields = format!("\"{}\"", predicts.id);
        for (name, _) in model.request.iter().filter(|(name, _)| *name != predicts.id) {
            fields.push_str(&format!(", \"{name}\""));
        }
        let filter = predicts.filter.as_ref().map_or_else(String::new, |filter| format!(" AND (\n{filter}\n)"));
        let sql = format!(
            "SELECT * FROM (SELECT arrow_cast((\n{at}\n), {utc}) AS replay_at, {fields} FROM {table_name} WHERE true{filter}) \
             WHERE replay_at >= arrow_cast({from}, {utc}) AND replay_at < arrow_cast({to}, {utc}) ORDER BY replay_at, \"{id}\"",
            at = predicts.at,
            table_name = predicts.from,
            from = from.micros(),
            to = to.micros(),
            id = predicts.id,
        );
        let query = engine.query(&sql, vec![Binding::table(&table.table, Some(table.version))]).await?;
        let schema = query.schema();
        let all = concat_batches(&schema, &query.collect().await?)
            .map_err(|error| Error::bug("requests cannot be joined").cause(error))?;
        let at = all.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>().cloned();
        let at = at.ok_or_else(|| Error::bug("prediction times have another type"))?;
        let columns: Vec<usize> = (1..all.num_columns()).collect();
        let rows = all.project(&columns).map_err(|error| Error::bug("requests have no fields").cause(error))?;
        Ok(Self { at, rows, next: 0 })
    }

    /// The bodies of the requests before a time that were not taken yet, and the number of rows in them.
    pub fn take_before(&mut self, until: Timestamp) -> Result<(Vec<Vec<u8>>, u64)> {
        let end = self.next + self.at.values()[self.next..].partition_point(|at| *at < until.micros());
        let mut bodies = Vec::new();
        let mut start = self.next;
        while start < end {
            let length = (end - start).min(MAX_ROWS);
            bodies.push(body(&self.rows.slice(start, length))?);
            start += length;
        }
        let n_rows = (end - self.next) as u64;
        self.next = end;
        Ok((bodies, n_rows))
    }
}

/// `{"rows": [{"carrier": "AA", …}, …]}`; nulls are left out, as a caller leaves out what it does not know.
fn body(rows: &RecordBatch) -> Result<Vec<u8>> {
    let mut text = b"{\"rows\":".to_vec();
    let failed = |error: arrow::error::ArrowError| Error::bug("requests cannot be written as JSON").cause(error);
    let mut writer = ArrayWriter::new(&mut text);
    writer.write(rows).map_err(failed)?;
    writer.finish().map_err(failed)?;
    text.push(b'}');
    Ok(text)
}
