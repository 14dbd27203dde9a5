//! Rows on their way into a table: canonical, of storable types, and of the table's columns.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use lw_core::{Result, nearest};

use super::TableId;
use crate::column_type::{canonical_batch, canonical_type, type_text};
use crate::failures::{BAD_MERGE_KEYS, TABLE_SCHEMA_MISMATCH, UNSUPPORTED_TYPE};

/// Rows that a table can hold, all columns nullable.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
}

impl Rows {
    pub fn prepare(table: &TableId, schema: &Schema, batches: &[RecordBatch]) -> Result<Self> {
        let mut names = HashSet::new();
        let mut fields = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            if !names.insert(field.name().to_lowercase()) {
                return Err(TABLE_SCHEMA_MISMATCH
                    .error(format!("two columns for table `{table}` are called `{}`", field.name()))
                    .hint("column names of a table must differ in more than their case"));
            }
            check_storable(table, field)?;
            fields.push(Field::new(field.name(), canonical_type(field.data_type()), true));
        }
        let schema = Arc::new(Schema::new(fields));
        let batches = batches.iter().map(|batch| canonical_batch(batch, &schema)).collect::<Result<_>>()?;
        Ok(Self { schema, batches })
    }

    pub fn n_rows(&self) -> u64 {
        self.batches.iter().map(|batch| batch.num_rows() as u64).sum()
    }

    /// The same rows in the table's order of columns, new columns last. Refuses what the table does not expect.
    pub fn fitted_to(&self, table: &TableId, existing: &SchemaRef, add_columns: bool) -> Result<Self> {
        let mut order = Vec::with_capacity(self.schema.fields().len());
        for field in existing.fields() {
            let Some((index, given)) = self.schema.column_with_name(field.name()) else {
                return Err(self.missing(table, field));
            };
            if given.data_type() != field.data_type() {
                let (is, was) = (type_text(given.data_type()), type_text(field.data_type()));
                return Err(TABLE_SCHEMA_MISMATCH
                    .error(format!("column `{}` is {was} in table `{table}` and {is} in the rows", field.name()))
                    .hint(format!("convert it with CAST({} AS …), or write a new table", field.name())));
            }
            order.push(index);
        }
        for (index, field) in self.schema.fields().iter().enumerate() {
            if existing.column_with_name(field.name()).is_some() {
                continue;
            }
            if !add_columns {
                let text = type_text(field.data_type());
                return Err(TABLE_SCHEMA_MISMATCH
                    .error(format!("column `{}` ({text}) is not in table `{table}`", field.name()))
                    .hint("allow new columns (`evolution: additive`), or leave it out"));
            }
            order.push(index);
        }
        self.reordered(&order)
    }

    fn missing(&self, table: &TableId, field: &Field) -> lw_core::Error {
        let error = TABLE_SCHEMA_MISMATCH.error(format!(
            "column `{}` ({}) of table `{table}` is missing in the rows",
            field.name(),
            type_text(field.data_type())
        ));
        match nearest(field.name(), self.schema.fields().iter().map(|field| field.name().as_str())) {
            Some(near) => error.hint(format!("the rows have a column `{near}`")),
            None => error.hint("add the column; it may be NULL"),
        }
    }

    fn reordered(&self, order: &[usize]) -> Result<Self> {
        let failed = |error| lw_core::Error::bug("columns of one schema do not project").cause(error);
        let schema = Arc::new(self.schema.project(order).map_err(failed)?);
        let batch = |batch: &RecordBatch| {
            let columns = order.iter().map(|index| batch.column(*index).clone()).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(failed)
        };
        let batches = self.batches.iter().map(batch).collect::<Result<_>>()?;
        Ok(Self { schema, batches })
    }

    /// Keys to merge by: columns of the rows, never NULL, and no two rows with the same.
    pub fn check_keys(&self, table: &TableId, keys: &[String]) -> Result<()> {
        let bad = |text: String| BAD_MERGE_KEYS.error(format!("rows for table `{table}` cannot be merged: {text}"));
        if keys.is_empty() {
            return Err(bad("no key columns are given".to_owned()));
        }
        let mut indices = Vec::with_capacity(keys.len());
        for key in keys {
            let found = self.schema.column_with_name(key).ok_or_else(|| bad(format!("there is no key column `{key}`")))?;
            indices.push(found.0);
        }
        let fields = indices.iter().map(|index| SortField::new(self.schema.field(*index).data_type().clone())).collect();
        let failed = |error: arrow::error::ArrowError| bad("the keys cannot be compared".to_owned()).cause(error);
        let converter = RowConverter::new(fields).map_err(failed)?;
        let mut seen: HashSet<OwnedRow> = HashSet::new();
        for batch in &self.batches {
            let columns: Vec<ArrayRef> = indices.iter().map(|index| batch.column(*index).clone()).collect();
            if let Some(at) = columns.iter().position(|column| column.null_count() > 0) {
                return Err(bad(format!("key column `{}` has a NULL", keys[at])).hint("keys must be given in every row"));
            }
            for row in &converter.convert_columns(&columns).map_err(failed)? {
                if !seen.insert(row.owned()) {
                    return Err(bad(format!("two rows have the same {}", keys.join(", "))).hint("keep one row for each key"));
                }
            }
        }
        Ok(())
    }
}

fn check_storable(table: &TableId, field: &Field) -> Result<()> {
    let refused = |hint: &str| {
        let text = type_text(field.data_type());
        Err(UNSUPPORTED_TYPE.error(format!("column `{}` of table `{table}` cannot be a {text}", field.name())).hint(hint))
    };
    match field.data_type() {
        DataType::Timestamp(_, None) => refused("say which zone it is in: `column AT TIME ZONE 'America/New_York'`"),
        DataType::Null => refused("give the column a type: CAST(NULL AS …)"),
        DataType::Duration(_) | DataType::Interval(_) => refused("store seconds: date_part('epoch', …)"),
        DataType::Time32(_) | DataType::Time64(_) => refused("store a timestamp or a number"),
        _ => Ok(()),
    }
}
