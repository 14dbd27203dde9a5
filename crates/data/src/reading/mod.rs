//! Files into rows as they stand there: text for CSV and JSON Lines, typed for Parquet. Types come later, row by row.

mod columns;
mod csv_file;
mod json_lines;
mod parquet_file;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use lw_core::{Digest, Error, Place, Result, Timestamp};

pub(crate) use parquet_file::ParquetGroups;

use crate::failures::{SOURCE_FILE_UNREADABLE, SOURCE_FILE_UNSTABLE, SOURCE_FILES_MISSING};
use crate::{Format, SourceDefinition};

/// Rows are handled in chunks of this many.
const CHUNK_ROWS: usize = 65_536;

/// The bytes of a file with what identifies them. Digest and rows come from the same bytes, so they cannot disagree.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub path: String,
    pub bytes: Bytes,
    pub digest: Digest,
    pub stamp: Stamp,
}

/// What tells an untouched file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub size_bytes: u64,
    pub modified_at: Timestamp,
}

/// The stamp of a file on disk.
pub(crate) fn stamp(project_dir: &Path, path: &str) -> Result<Stamp> {
    stamp_of(&open(project_dir, path)?, path)
}

/// Reads a whole file. One that grows, shrinks or is written to meanwhile is refused.
pub(crate) fn snapshot(project_dir: &Path, path: &str) -> Result<Snapshot> {
    let mut file = open(project_dir, path)?;
    let before = stamp_of(&file, path)?;
    let mut content = Vec::with_capacity(usize::try_from(before.size_bytes).unwrap_or(0));
    file.read_to_end(&mut content).map_err(|error| unreadable(path, error))?;
    let after = stamp(project_dir, path)?;
    if before != after || content.len() as u64 != before.size_bytes {
        return Err(SOURCE_FILE_UNSTABLE
            .error("the file changed while it was read")
            .hint("ingest again when its writer is done; writers do best to write elsewhere and rename the finished file")
            .at(place(path, None)));
    }
    let bytes = Bytes::from(content);
    Ok(Snapshot { path: path.to_owned(), digest: Digest::of(&bytes), bytes, stamp: before })
}

/// The rows of a file in chunks. Columns have the names of the table; declared ones that the file lacks are not there.
pub(crate) fn rows(snapshot: &Snapshot, source: &SourceDefinition) -> Result<Vec<RecordBatch>> {
    match source.format {
        Format::Csv => csv_file::read(snapshot, source),
        Format::Jsonl => json_lines::read(snapshot, source),
        Format::Parquet => parquet_file::read(snapshot, source),
    }
}

pub(crate) fn place(path: &str, line: Option<u64>) -> Place {
    Place { file: path.to_owned(), line: line.map(|line| u32::try_from(line).unwrap_or(u32::MAX)), column: None }
}

fn open(project_dir: &Path, path: &str) -> Result<File> {
    File::open(project_dir.join(path)).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => SOURCE_FILES_MISSING
            .error("the file is gone")
            .hint("it was there when the folder was listed; ingest again, or put it back")
            .at(place(path, None)),
        _ => unreadable(path, error),
    })
}

fn stamp_of(file: &File, path: &str) -> Result<Stamp> {
    let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let micros = modified.and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or(0);
    Ok(Stamp { size_bytes: metadata.len(), modified_at: Timestamp::from_micros(micros) })
}

fn unreadable(path: &str, error: std::io::Error) -> Error {
    SOURCE_FILE_UNREADABLE
        .error(format!("the file cannot be read: {error}"))
        .hint("check that Loopwright may read the file")
        .at(place(path, None))
        .cause(error)
}

/// Text columns that grow row by row and leave in chunks.
struct TextColumns {
    names: Vec<String>,
    builders: Vec<StringBuilder>,
    n_rows: usize,
    chunks: Vec<RecordBatch>,
}

impl TextColumns {
    fn new(names: Vec<String>) -> Self {
        let builders = names.iter().map(|_| StringBuilder::new()).collect();
        Self { names, builders, n_rows: 0, chunks: Vec::new() }
    }

    /// Every builder must have got its value of the row.
    fn end_row(&mut self) -> Result<()> {
        self.n_rows += 1;
        if self.n_rows == CHUNK_ROWS { self.end_chunk() } else { Ok(()) }
    }

    fn end_chunk(&mut self) -> Result<()> {
        let columns =
            self.names.iter().zip(&mut self.builders).map(|(name, builder)| (name, Arc::new(builder.finish()) as ArrayRef));
        let (fields, arrays): (Vec<_>, Vec<_>) =
            columns.map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array)).unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(self.n_rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| Error::bug("text columns of unequal length").cause(error))?;
        self.chunks.push(batch);
        self.n_rows = 0;
        Ok(())
    }

    /// The last chunk may have no rows, so that a file without rows still has its columns.
    fn finish(mut self) -> Result<Vec<RecordBatch>> {
        if self.n_rows > 0 || self.chunks.is_empty() {
            self.end_chunk()?;
        }
        Ok(self.chunks)
    }
}
