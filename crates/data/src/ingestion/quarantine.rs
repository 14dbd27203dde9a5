//! The rows that broke the contract, with the reason.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use lw_core::{DataType, Error, Result, Timestamp};
use lw_engine::to_arrow;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::chunk::Chunk;
use crate::Severity;
use crate::contract::{CompiledSource, Explanation};
use crate::queries::IngestedFile;

/// The columns of every table `quarantine/<source>`.
///
/// `ingest_id` (text) names the batch, `at` (timestamp) its time; `file` and `row_number` (from 1, without a header) say where the
/// row stood; `rule` is the rule that kept it out, `reason` tells of all that it broke, `value` is the value that broke the rule;
/// `raw` is the row as a JSON object, without its nulls.
pub fn quarantine_schema() -> SchemaRef {
    let text = |name| Field::new(name, ArrowType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("ingest_id"),
        Field::new("at", to_arrow(DataType::Timestamp), true),
        text("file"),
        Field::new("row_number", ArrowType::Int64, true),
        text("rule"),
        text("reason"),
        text("value"),
        text("raw"),
    ]))
}

/// The quarantined rows of a batch, or none if all rows keep the contract.
pub(super) fn quarantined(
    source: &CompiledSource,
    chunks: &[Chunk],
    files: &[IngestedFile],
    reasons: &[Option<String>],
    ingest_id: &str,
    at: Timestamp,
) -> Result<Option<RecordBatch>> {
    let mut columns = Columns::default();
    for chunk in chunks {
        columns.add(source, chunk, &files[chunk.origin.file_index].path, reasons)?;
    }
    let n_rows = columns.raw.len();
    if n_rows == 0 {
        return Ok(None);
    }
    let times = TimestampMicrosecondArray::from(vec![at.micros(); n_rows]).with_timezone("UTC");
    let texts = |texts: Vec<String>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let batch = RecordBatch::try_new(
        quarantine_schema(),
        vec![
            texts(vec![ingest_id.to_owned(); n_rows]),
            Arc::new(times),
            texts(columns.files),
            Arc::new(Int64Array::from(columns.row_numbers)),
            texts(columns.rules),
            texts(columns.reasons),
            Arc::new(StringArray::from(columns.values)),
            texts(columns.raw),
        ],
    );
    batch.map(Some).map_err(|error| Error::bug("quarantined rows do not make a batch").cause(error))
}

#[derive(Default)]
struct Columns {
    files: Vec<String>,
    row_numbers: Vec<i64>,
    rules: Vec<String>,
    reasons: Vec<String>,
    values: Vec<Option<String>>,
    raw: Vec<String>,
}

impl Columns {
    fn add(&mut self, source: &CompiledSource, chunk: &Chunk, file: &str, reasons: &[Option<String>]) -> Result<()> {
        let row_indices: Vec<usize> = chunk.kept_out.set_indices().collect();
        if row_indices.is_empty() {
            return Ok(());
        }
        for row_index in &row_indices {
            // Warnings are not told.
            let broken = chunk.broken.iter().filter(|(_, rows)| rows.value(*row_index)).map(|(rule_index, _)| *rule_index);
            let broken: Vec<usize> = broken.filter(|rule_index| source.rules[*rule_index].severity > Severity::Warn).collect();
            let explain = |rule_index: &usize| {
                let found = reasons[*rule_index].as_deref();
                source.rules[*rule_index].explain(&chunk.raw, &chunk.rows, *row_index, found)
            };
            let explained: Vec<Explanation> = broken.iter().map(explain).collect();
            let all: Vec<&str> = explained.iter().map(|explanation| explanation.reason.as_str()).collect();
            self.reasons.push(all.join("; "));
            self.files.push(file.to_owned());
            self.row_numbers.push(i64::try_from(chunk.row_number(*row_index)).unwrap_or(i64::MAX));
            self.rules.push(broken.first().map(|rule_index| source.rules[*rule_index].name.clone()).unwrap_or_default());
            self.values.push(explained.into_iter().next().and_then(|explanation| explanation.value));
        }
        self.raw.extend(json_of(&chunk.raw, &row_indices)?);
        Ok(())
    }
}

fn json_of(raw: &RecordBatch, row_indices: &[usize]) -> Result<Vec<String>> {
    let bug = |error: arrow::error::ArrowError| Error::bug("a quarantined row does not go into JSON").cause(error);
    let indices: UInt64Array = row_indices.iter().map(|index| *index as u64).collect();
    let taken = take_record_batch(raw, &indices).map_err(bug)?;
    let mut text = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut text);
    writer.write(&taken).map_err(bug)?;
    writer.finish().map_err(bug)?;
    let text = String::from_utf8(text).map_err(|error| Error::bug("JSON is UTF-8").cause(error))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The form in which quarantined rows wait among the artifacts until they are in their table.
pub(super) fn to_parquet(batch: &RecordBatch) -> Result<Bytes> {
    let bug = |error: parquet::errors::ParquetError| Error::bug("quarantined rows do not go into Parquet").cause(error);
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).map_err(bug)?;
    writer.write(batch).map_err(bug)?;
    writer.close().map_err(bug)?;
    Ok(bytes.into())
}

pub(super) fn from_parquet(bytes: Bytes) -> Result<Vec<RecordBatch>> {
    let bug = |error: Box<dyn std::error::Error + Send + Sync>| Error::bug("quarantined rows cannot be read back").cause(error);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(ParquetRecordBatchReaderBuilder::build);
    reader.map_err(|error| bug(error.into()))?.map(|batch| batch.map_err(|error| bug(error.into()))).collect()
}
