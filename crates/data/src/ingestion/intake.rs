//! Which files to take, and their rows checked against the contract.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Field, Schema};
use lw_core::{Error, Result};
use lw_engine::{canonical_type, from_arrow, to_arrow};

use crate::contract::{CompiledSource, Rule, RuleKind};
use crate::conversion::{Converted, Misfit, convert, type_name};
use crate::failures::{SOURCE_FILE_CHANGED, SOURCE_TYPE_CHANGED, TIMESTAMP_WITHOUT_ZONE};
use crate::location::FoundFile;
use crate::queries::{IngestedFile, KnownFiles};
use crate::reading::{self, Snapshot, Stamp, place};
use crate::{ColumnDefinition, OnChange, Severity};

/// A batch holds at most this many bytes of files (a larger file stands alone) and this many files.
const BATCH_BYTES: u64 = 256 << 20;
const BATCH_FILES: usize = 1_000;

/// The files of one batch with their rows.
pub(super) struct Intake {
    pub files: Vec<IngestedFile>,
    pub chunks: Vec<Chunk>,
}

/// Some rows of one file.
pub(super) struct Chunk {
    pub file_index: usize,
    /// The number of the first row, counted from 1 in its file.
    pub first_row_number: u64,
    /// The rows as the file has them.
    pub raw: RecordBatch,
    /// The rows as the table has them: declared and derived columns, then new ones.
    pub rows: RecordBatch,
    /// Which rows break which rule, by its position in the contract.
    pub broken: Vec<(usize, BooleanBuffer)>,
    /// Rows that a rule keeps out of the table.
    pub kept_out: BooleanBuffer,
}

impl Chunk {
    pub(super) fn add_broken(&mut self, rule_index: usize, severity: Severity, rows: BooleanBuffer) {
        if severity > Severity::Warn {
            self.kept_out = &self.kept_out | &rows;
        }
        self.broken.push((rule_index, rows));
    }
}

/// Files that may be new, in batches. A file whose size and time of change are the recorded ones is not read again.
pub(super) fn groups(landed: Vec<FoundFile>, known: &KnownFiles, project_dir: &Path) -> Result<Vec<Vec<String>>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut size_bytes = 0;
    for file in landed {
        let stamp = reading::stamp(project_dir, &file.path)?;
        if known
            .get(&file.path)
            .is_some_and(|known| Stamp { size_bytes: known.size_bytes, modified_at: known.modified_at } == stamp)
        {
            continue;
        }
        size_bytes += stamp.size_bytes;
        match groups.last_mut() {
            Some(group) if size_bytes <= BATCH_BYTES && group.len() < BATCH_FILES => group.push(file.path),
            _ => {
                size_bytes = stamp.size_bytes;
                groups.push(vec![file.path]);
            }
        }
    }
    Ok(groups)
}

/// Reads the files of a group that are new, or changed where changes are welcome, on a thread for blocking work.
pub(super) async fn read(
    source: &Arc<CompiledSource>,
    paths: Vec<String>,
    known: &KnownFiles,
    project_dir: &Path,
) -> Result<Intake> {
    let known: Vec<_> = paths.iter().map(|path| known.get(path).cloned()).collect();
    let (source, project_dir) = (source.clone(), project_dir.to_owned());
    let work = move || {
        let mut intake = Intake { files: Vec::new(), chunks: Vec::new() };
        for (path, known) in paths.iter().zip(known) {
            let snapshot = reading::snapshot(&project_dir, path)?;
            if is_new(&source, &snapshot, known.as_ref())? {
                take(&source, &snapshot, &mut intake)?;
            }
        }
        Ok(intake)
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::bug("reading files panicked").cause(error))?
}

fn is_new(source: &CompiledSource, snapshot: &Snapshot, known: Option<&IngestedFile>) -> Result<bool> {
    let Some(known) = known else {
        return Ok(true);
    };
    if known.digest == snapshot.digest {
        return Ok(false);
    }
    if source.definition.on_change == OnChange::Merge {
        return Ok(true);
    }
    Err(SOURCE_FILE_CHANGED
        .error(format!(
            "the file was ingested with {} bytes and digest {}, and has {} bytes and digest {} now",
            known.size_bytes,
            known.digest.short(),
            snapshot.stamp.size_bytes,
            snapshot.digest.short()
        ))
        .hint("put the old content back and write corrections into a new file; for a list that is kept up to date, set `on_change: merge`")
        .at(place(&snapshot.path, None)))
}

fn take(source: &CompiledSource, snapshot: &Snapshot, intake: &mut Intake) -> Result<()> {
    let file_index = intake.files.len();
    let mut n_rows = 0;
    for raw in reading::rows(snapshot, &source.definition)? {
        let first_row_number = n_rows + 1;
        n_rows += raw.num_rows() as u64;
        intake.chunks.push(chunk(source, snapshot, file_index, first_row_number, raw)?);
    }
    intake.files.push(IngestedFile {
        path: snapshot.path.clone(),
        digest: snapshot.digest,
        size_bytes: snapshot.stamp.size_bytes,
        modified_at: snapshot.stamp.modified_at,
        n_rows,
    });
    Ok(())
}

fn chunk(
    source: &CompiledSource,
    snapshot: &Snapshot,
    file_index: usize,
    first_row_number: u64,
    raw: RecordBatch,
) -> Result<Chunk> {
    let n_rows = raw.num_rows();
    let mut misfits: Vec<Option<BooleanBuffer>> = Vec::with_capacity(source.definition.columns.len());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(source.table_schema.fields().len());
    for ((name, column), zone) in source.definition.columns.iter().zip(&source.zones) {
        let converted = match raw.column_by_name(name) {
            Some(values) => convert(values, column.data_type, zone.as_ref())
                .map_err(|misfit| misfit_error(name, column, misfit, first_row_number, &snapshot.path))?,
            None => Converted { values: new_null_array(&to_arrow(column.data_type), n_rows), failed: None },
        };
        columns.push(converted.values);
        misfits.push(converted.failed);
    }
    let batch_of = |fields: &[Arc<Field>], columns: &[ArrayRef]| {
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields.to_vec())), columns.to_vec(), &options)
            .map_err(|error| Error::bug("converted columns do not make a batch").cause(error))
    };
    let mut fields: Vec<Arc<Field>> = source.table_schema.fields().iter().cloned().collect();
    for derived in &source.derived {
        let batch = batch_of(&fields[..columns.len()], &columns)?;
        let values = derived.expression.evaluate(&batch);
        columns.push(values.map_err(|error| error.context(format!("{}: derived column `{}`", snapshot.path, derived.name)))?);
    }
    for (field, values) in raw.schema().fields().iter().zip(raw.columns()) {
        if source.definition.columns.get(field.name()).is_none() {
            fields.push(Arc::new(Field::new(field.name(), canonical_type(field.data_type()), true)));
            columns.push(new_column(field.name(), values, &snapshot.path)?);
        }
    }
    let rows = batch_of(&fields, &columns)?;
    let mut chunk =
        Chunk { file_index, first_row_number, raw, rows, broken: Vec::new(), kept_out: BooleanBuffer::new_unset(n_rows) };
    apply_rules(source, &misfits, &mut chunk)?;
    Ok(chunk)
}

/// A column that the definition does not know joins the table with the type that it has.
fn new_column(name: &str, values: &ArrayRef, path: &str) -> Result<ArrayRef> {
    let known = from_arrow(values.data_type()).map_err(|error| error.context(format!("{path}: the new column `{name}`")))?;
    let no_zone = jiff::tz::TimeZone::UTC;
    let converted = convert(values, known, Some(&no_zone));
    converted
        .map(|converted| converted.values)
        .map_err(|_| Error::bug(format!("the new column `{name}` does not fit its own type")))
}

fn apply_rules(source: &CompiledSource, misfits: &[Option<BooleanBuffer>], chunk: &mut Chunk) -> Result<()> {
    let mut any_misfit = BooleanBuffer::new_unset(chunk.rows.num_rows());
    for failed in misfits.iter().flatten() {
        any_misfit = &any_misfit | failed;
    }
    for (rule_index, rule) in source.rules.iter().enumerate() {
        let broken = match &rule.kind {
            RuleKind::Type { column, .. } => misfits[*column].clone(),
            // A value of the wrong type is not missing as well, and a rule cannot judge a row that lacks one.
            RuleKind::Required { column } => without(rule.broken(&chunk.rows)?, misfits[*column].as_ref()),
            RuleKind::Row { .. } => without(in_row(source, rule, chunk)?, Some(&any_misfit)),
            _ => rule.broken(&chunk.rows)?,
        };
        if let Some(broken) = broken {
            chunk.add_broken(rule_index, rule.severity, broken);
        }
    }
    Ok(())
}

fn in_row(source: &CompiledSource, rule: &Rule, chunk: &Chunk) -> Result<Option<BooleanBuffer>> {
    rule.broken(&chunk.rows).map_err(|error| error.context(format!("source `{}`, rule `{}`", source.definition.name, rule.name)))
}

fn without(broken: Option<BooleanBuffer>, excused: Option<&BooleanBuffer>) -> Option<BooleanBuffer> {
    let (Some(broken), Some(excused)) = (&broken, excused) else {
        return broken;
    };
    let rest = broken & &!excused;
    (rest.count_set_bits() > 0).then_some(rest)
}

fn misfit_error(name: &str, column: &ColumnDefinition, misfit: Misfit, first_row_number: u64, path: &str) -> Error {
    let row_number = |row_index: usize| first_row_number + row_index as u64;
    match misfit {
        Misfit::TypeChanged { found, row_index, value } => SOURCE_TYPE_CHANGED
            .error(format!(
                "column `{name}` is {found}, declared is {}; the first such value is `{value}` in row {}",
                column.data_type,
                row_number(row_index)
            ))
            .hint("ask the writer for the declared type, or change the declaration and ingest into a new table"),
        Misfit::WithoutZone { row_index, value } => TIMESTAMP_WITHOUT_ZONE
            .error(format!("column `{name}` has times without a zone; the first is `{value}` in row {}", row_number(row_index)))
            .hint(format!("declare the zone that the times are in: `{name}: {{type: timestamp, zone: America/New_York}}`")),
    }
    .at(place(path, None))
}

/// How a column of the table reads in messages about its type.
pub(super) fn column_type(field: &Field) -> String {
    type_name(field.data_type())
}
