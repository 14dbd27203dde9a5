//! Writing one new version of a table.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use deltalake::DeltaTableError;
use deltalake::kernel::Transaction;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::write::SchemaMode;
use deltalake::protocol::SaveMode;
use lw_core::{Error, Result};

use super::history::{N_ROWS_KEY, find_app_commit};
use super::rows::Rows;
use super::store::{Tables, app_version_of, delta_error, digest_of, schema_of};
use super::{TableId, WriteMode, WriteOptions, Written};
use crate::failures::TABLE_CONFLICT;

/// Writers of other processes can get in between; each time the write is planned again on what they made.
const N_ATTEMPTS: usize = 5;

const SOURCE: &str = "source";
const TARGET: &str = "target";

impl Tables {
    pub async fn write(
        &self,
        table: &TableId,
        schema: &Schema,
        batches: Vec<RecordBatch>,
        options: &WriteOptions,
    ) -> Result<Written> {
        let rows = Rows::prepare(table, schema, &batches)?;
        if let WriteMode::Merge { keys } = &options.mode {
            rows.check_keys(table, keys)?;
        }
        let turn = self.turn(table);
        let _turn = turn.lock().await;
        for attempt in 1..=N_ATTEMPTS {
            let existing = self.latest(table).await?;
            if let Some(written) = already_written(existing.as_ref(), table, options).await? {
                return Ok(written);
            }
            match self.commit(table, existing, &rows, options).await {
                Ok(delta) => {
                    self.remember(table, &delta);
                    return written(&delta, table, rows.n_rows());
                }
                Err(error) if error.is(TABLE_CONFLICT) && attempt < N_ATTEMPTS => {
                    tracing::info!(table = %table, attempt, "Writing table `{table}` again after a conflict");
                    self.forget(table);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::bug("the last attempt neither wrote nor failed"))
    }

    /// Removes the rows whose `column` has one of the values, as a new version. Returns how many rows went.
    pub async fn remove(&self, table: &TableId, name: &str, values: &[String]) -> Result<u64> {
        let turn = self.turn(table);
        let _turn = turn.lock().await;
        for attempt in 1..=N_ATTEMPTS {
            let Some(delta) = self.latest(table).await? else { return Ok(0) };
            let condition =
                Expr::Column(Column::from_name(name)).in_list(values.iter().map(|value| lit(value.as_str())).collect(), false);
            let removal = delta
                .delete()
                .with_predicate(condition)
                .with_session_state(self.write.clone())
                .with_commit_properties(CommitProperties::default().with_cleanup_expired_logs(Some(false)));
            match removal.await.map_err(|error| delta_error(error, table)) {
                Ok((delta, counts)) => {
                    self.remember(table, &delta);
                    return Ok(counts.num_deleted_rows.unwrap_or_default() as u64);
                }
                Err(error) if error.is(TABLE_CONFLICT) && attempt < N_ATTEMPTS => self.forget(table),
                Err(error) => return Err(error),
            }
        }
        Err(Error::bug("the last attempt neither removed nor failed"))
    }

    async fn commit(
        &self,
        table: &TableId,
        existing: Option<DeltaTable>,
        rows: &Rows,
        options: &WriteOptions,
    ) -> Result<DeltaTable> {
        let failed = |error: DeltaTableError| delta_error(error, table);
        let Some(delta) = existing else {
            return self.create(self.unopened(table)?, rows, options).await.map_err(failed);
        };
        let schema = schema_of(&delta, table)?;
        let rows = rows.fitted_to(table, &schema, options.add_columns)?;
        let add_columns = rows.schema.fields().len() > schema.fields().len();
        match &options.mode {
            WriteMode::Append => self.put(delta, &rows, options, SaveMode::Append, add_columns).await.map_err(failed),
            WriteMode::Overwrite => self.put(delta, &rows, options, SaveMode::Overwrite, add_columns).await.map_err(failed),
            WriteMode::Merge { keys } => self.merge(delta, &rows, options, keys, add_columns).await.map_err(failed),
        }
    }

    /// Old versions are facts that models were trained on: their log is never cleaned up.
    async fn create(&self, place: DeltaTable, rows: &Rows, options: &WriteOptions) -> Result<DeltaTable, DeltaTableError> {
        place
            .write(rows.batches_or_empty())
            .with_session_state(self.write.clone())
            .with_save_mode(SaveMode::ErrorIfExists)
            .with_configuration([("delta.enableExpiredLogCleanup", Some("false"))])
            .with_commit_properties(commit_properties(rows, options))
            .await
    }

    async fn put(
        &self,
        delta: DeltaTable,
        rows: &Rows,
        options: &WriteOptions,
        mode: SaveMode,
        add_columns: bool,
    ) -> Result<DeltaTable, DeltaTableError> {
        let mut builder = delta
            .write(rows.batches_or_empty())
            .with_session_state(self.write.clone())
            .with_save_mode(mode)
            .with_commit_properties(commit_properties(rows, options));
        if add_columns {
            builder = builder.with_schema_mode(SchemaMode::Merge);
        }
        builder.await
    }

    async fn merge(
        &self,
        delta: DeltaTable,
        rows: &Rows,
        options: &WriteOptions,
        keys: &[String],
        add_columns: bool,
    ) -> Result<DeltaTable, DeltaTableError> {
        let context = SessionContext::new_with_state(self.write.as_ref().clone());
        let source = context.read_batches(rows.batches_or_empty())?;
        let same_keys = keys.iter().map(|key| column(TARGET, key).eq(column(SOURCE, key))).reduce(Expr::and);
        let names: Vec<&String> = rows.schema.fields().iter().map(|field| field.name()).collect();
        let (delta, _) = delta
            .merge(source, same_keys.unwrap_or_else(|| lit(false)))
            .with_source_alias(SOURCE)
            .with_target_alias(TARGET)
            .with_session_state(self.write.clone())
            .with_merge_schema(add_columns)
            .with_commit_properties(commit_properties(rows, options))
            .when_matched_update(|update| {
                names.iter().fold(update, |update, name| update.update(Column::from_name(*name), column(SOURCE, name)))
            })?
            .when_not_matched_insert(|insert| {
                names.iter().fold(insert, |insert, name| insert.set(Column::from_name(*name), column(SOURCE, name)))
            })?
            .await?;
        Ok(delta)
    }
}

impl Rows {
    /// At least one batch, since it is the batch that tells the columns.
    fn batches_or_empty(&self) -> Vec<RecordBatch> {
        let schema: &SchemaRef = &self.schema;
        if self.batches.is_empty() { vec![RecordBatch::new_empty(schema.clone())] } else { self.batches.clone() }
    }
}

fn column(relation: &str, name: &str) -> Expr {
    Expr::Column(Column::new(Some(TableReference::bare(Arc::<str>::from(relation))), name))
}

fn commit_properties(rows: &Rows, options: &WriteOptions) -> CommitProperties {
    let properties = CommitProperties::default()
        .with_metadata([(N_ROWS_KEY.to_owned(), rows.n_rows().into())])
        .with_cleanup_expired_logs(Some(false));
    match &options.app_txn {
        Some(txn) => properties.with_application_transaction(Transaction::new(&txn.app_id, txn.version)),
        None => properties,
    }
}

/// The version that an application's write made when it ran before.
async fn already_written(existing: Option<&DeltaTable>, table: &TableId, options: &WriteOptions) -> Result<Option<Written>> {
    let (Some(delta), Some(txn)) = (existing, &options.app_txn) else {
        return Ok(None);
    };
    let recorded = app_version_of(delta, table, &txn.app_id).await?;
    if recorded.is_none_or(|recorded| recorded < txn.version) {
        return Ok(None);
    }
    let current = delta.version().unwrap_or_default();
    let (version, n_rows) = find_app_commit(delta, table, txn).await?.unwrap_or((current, 0));
    let mut at = delta.clone();
    if version != current {
        at.load_version(version).await.map_err(|error| delta_error(error, table))?;
    }
    written(&at, table, n_rows).map(Some)
}

fn written(delta: &DeltaTable, table: &TableId, n_rows: u64) -> Result<Written> {
    let version = delta.version().ok_or_else(|| Error::bug("a written table has no version"))?;
    Ok(Written { version, n_rows, digest: digest_of(delta, table)? })
}
