//! Parquet: columns come with their types.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use lw_core::{Error, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::table_names;
use super::{CHUNK_ROWS, Snapshot, place};
use crate::SourceDefinition;
use crate::failures::SOURCE_FILE_UNREADABLE;

pub(super) fn read(snapshot: &Snapshot, source: &SourceDefinition) -> Result<Vec<RecordBatch>> {
    let path = &snapshot.path;
    let builder = ParquetRecordBatchReaderBuilder::try_new(snapshot.bytes.clone()).map_err(|error| broken(path, error.into()))?;
    let file_schema = builder.schema().clone();
    let found: Vec<String> = file_schema.fields().iter().map(|field| field.name().clone()).collect();
    let names = table_names(source, &found, path)?;
    let renamed = names.iter().zip(file_schema.fields()).map(|(name, field)| Field::new(name, field.data_type().clone(), true));
    let schema = Arc::new(Schema::new(renamed.collect::<Vec<_>>()));
    let reader = builder.with_batch_size(CHUNK_ROWS).build().map_err(|error| broken(path, error.into()))?;
    let mut chunks = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| broken(path, error.into()))?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let renamed = RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options);
        chunks.push(renamed.map_err(|error| broken(path, error.into()))?);
    }
    if chunks.is_empty() {
        chunks.push(RecordBatch::new_empty(schema));
    }
    Ok(chunks)
}

fn broken(path: &str, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    SOURCE_FILE_UNREADABLE
        .error("the file is not readable as Parquet: it is cut off, damaged or of another format")
        .hint("its writer may not be done; otherwise write the file again, or correct `format`")
        .at(place(path, None))
        .cause(error)
}
