//! Parquet: columns come with their types.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use lw_core::{Error, Result};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::columns::table_names;
use super::{CHUNK_ROWS, Snapshot, open, place};
use crate::SourceDefinition;
use crate::conversion::type_name;
use crate::failures::SOURCE_FILE_UNREADABLE;

pub(super) fn read(snapshot: &Snapshot, source: &SourceDefinition) -> Result<Vec<RecordBatch>> {
    let path = &snapshot.path;
    let builder = ParquetRecordBatchReaderBuilder::try_new(snapshot.bytes.clone()).map_err(|error| broken(path, error.into()))?;
    let schema = table_schema(builder.schema(), source, path)?;
    let reader = builder.with_batch_size(CHUNK_ROWS).build().map_err(|error| broken(path, error.into()))?;
    let mut chunks = Vec::new();
    for batch in reader {
        chunks.push(renamed(batch, &schema, path)?);
    }
    if chunks.is_empty() {
        chunks.push(RecordBatch::new_empty(schema));
    }
    Ok(chunks)
}

/// A file that is read one row group at a time, perhaps by several threads.
pub(crate) struct ParquetGroups {
    project_dir: PathBuf,
    path: String,
    metadata: ArrowReaderMetadata,
    schema: SchemaRef,
}

impl ParquetGroups {
    pub(crate) fn open(project_dir: &Path, path: &str, source: &SourceDefinition) -> Result<Self> {
        let file = open(project_dir, path)?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|error| broken(path, error.into()))?;
        let schema = table_schema(metadata.schema(), source, path)?;
        Ok(Self { project_dir: project_dir.to_owned(), path: path.to_owned(), metadata, schema })
    }

    pub(crate) fn n_groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// How many rows stand before a row group.
    pub(crate) fn first_row(&self, group: usize) -> u64 {
        let before = self.metadata.metadata().row_groups().iter().take(group);
        before.map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    /// The rows of a row group in chunks.
    pub(crate) fn read(&self, group: usize) -> Result<impl Iterator<Item = Result<RecordBatch>> + '_> {
        let file = open(&self.project_dir, &self.path)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let reader = builder.with_row_groups(vec![group]).with_batch_size(CHUNK_ROWS).build();
        let reader = reader.map_err(|error| broken(&self.path, error.into()))?;
        Ok(reader.map(|batch| renamed(batch, &self.schema, &self.path)))
    }
}

/// The columns of a file under the names of the table.
fn table_schema(file_schema: &SchemaRef, source: &SourceDefinition, path: &str) -> Result<SchemaRef> {
    let found: Vec<String> = file_schema.fields().iter().map(|field| field.name().clone()).collect();
    let type_of = |index: usize| Some(type_name(file_schema.field(index).data_type()));
    let names = table_names(source, &found, type_of, path)?;
    let renamed = names.iter().zip(file_schema.fields()).map(|(name, field)| Field::new(name, field.data_type().clone(), true));
    Ok(Arc::new(Schema::new(renamed.collect::<Vec<_>>())))
}

fn renamed(batch: std::result::Result<RecordBatch, ArrowError>, schema: &SchemaRef, path: &str) -> Result<RecordBatch> {
    let batch = batch.map_err(|error| broken(path, error.into()))?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)
        .map_err(|error| broken(path, error.into()))
}

fn broken(path: &str, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    SOURCE_FILE_UNREADABLE
        .error("the file is not readable as Parquet: it is cut off, damaged or of another format")
        .hint("its writer may not be done; otherwise write the file again, or correct `format`")
        .at(place(path, None))
        .cause(error)
}
