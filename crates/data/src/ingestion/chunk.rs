//! Some rows of a file as the table has them, with what the rules on single rows say of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBufferBuilder, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Field, Schema};
use lw_core::{Error, Result};
use lw_engine::{canonical_type, from_arrow, to_arrow};

use crate::contract::{CompiledSource, Part, Rule, RuleKind};
use crate::conversion::{Converted, Misfit, convert, type_name};
use crate::failures::{SOURCE_TYPE_CHANGED, TIMESTAMP_WITHOUT_ZONE};
use crate::reading::place;
use crate::{ColumnDefinition, Severity};

/// Where the first row of a chunk stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub file_index: usize,
    /// Counted from 1 in its file.
    pub first_row_number: u64,
    /// Counted from 0 among all rows of the batch.
    pub first_ordinal: u64,
}

/// Some rows of one file.
pub(crate) struct Chunk {
    pub origin: Origin,
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
    /// Converts rows of a file to those of the table and applies the rules on single rows.
    pub(crate) fn read(source: &CompiledSource, path: &str, origin: Origin, raw: RecordBatch) -> Result<Self> {
        let n_rows = raw.num_rows();
        let (rows, misfits) = convert_rows(source, path, origin.first_row_number, &raw)?;
        let kept_out = BooleanBuffer::new_unset(n_rows);
        let mut chunk = Self { origin, raw, rows, broken: Vec::new(), kept_out };
        apply_rules(source, &misfits, &mut chunk)?;
        Ok(chunk)
    }

    /// The rows as rules on more than one row look at them.
    pub(crate) fn part(&self) -> Part<'_> {
        Part { first_ordinal: self.origin.first_ordinal, rows: &self.rows, kept_out: &self.kept_out }
    }

    pub(crate) fn row_number(&self, row_index: usize) -> u64 {
        self.origin.first_row_number + row_index as u64
    }

    pub(super) fn add_broken(&mut self, rule_index: usize, severity: Severity, rows: BooleanBuffer) {
        if severity > Severity::Warn {
            self.kept_out = &self.kept_out | &rows;
        }
        self.broken.push((rule_index, rows));
    }

    /// Marks rows by their positions in the batch. Those of other chunks are passed over.
    pub(super) fn add_broken_at(&mut self, rule_index: usize, severity: Severity, ordinals: &[u64]) {
        let (first, n_rows) = (self.origin.first_ordinal, self.rows.num_rows());
        let begin = ordinals.partition_point(|ordinal| *ordinal < first);
        let end = ordinals.partition_point(|ordinal| *ordinal < first + n_rows as u64);
        if begin == end {
            return;
        }
        let mut bits = BooleanBufferBuilder::new(n_rows);
        bits.append_n(n_rows, false);
        ordinals[begin..end].iter().for_each(|ordinal| bits.set_bit((ordinal - first) as usize, true));
        self.add_broken(rule_index, severity, bits.finish());
    }
}

/// The rows as the table has them, and for each declared column the rows whose value does not fit its type.
fn convert_rows(
    source: &CompiledSource,
    path: &str,
    first_row_number: u64,
    raw: &RecordBatch,
) -> Result<(RecordBatch, Vec<Option<BooleanBuffer>>)> {
    let n_rows = raw.num_rows();
    let mut misfits: Vec<Option<BooleanBuffer>> = Vec::with_capacity(source.definition.columns.len());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(source.table_schema.fields().len());
    for ((name, column), zone) in source.definition.columns.iter().zip(&source.zones) {
        let converted = match raw.column_by_name(name) {
            Some(values) => convert(values, column.data_type, zone.as_ref())
                .map_err(|misfit| misfit_error(name, column, misfit, first_row_number, path))?,
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
        columns.push(values.map_err(|error| error.context(format!("{path}: derived column `{}`", derived.name)))?);
    }
    for (field, values) in raw.schema().fields().iter().zip(raw.columns()) {
        if source.definition.columns.get(field.name()).is_none() {
            fields.push(Arc::new(Field::new(field.name(), canonical_type(field.data_type()), true)));
            columns.push(new_column(field.name(), values, path)?);
        }
    }
    Ok((batch_of(&fields, &columns)?, misfits))
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
