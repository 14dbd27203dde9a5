//! The four steps of a commit, and how a later ingestion finishes what a crash cut off.

use lw_core::{Ctx, Error, Name, Result};
use lw_engine::{AppTxn, WriteMode, WriteOptions, Written};

use super::Services;
use super::batch::{Prepared, data_table, quarantine_table};
use super::quarantine::{from_parquet, quarantine_schema};
use crate::queries::{self, BatchPlan, TableVersion};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Intend,
    Append,
    Quarantine,
    Record,
}

impl Step {
    pub(super) const ALL: [Self; 4] = [Self::Intend, Self::Append, Self::Quarantine, Self::Record];
}

/// Writes a batch and its record.
pub(super) async fn commit(ctx: &Ctx, services: &Services, prepared: Prepared) -> Result<TableVersion> {
    let committed = carry_out(ctx, services, prepared, &Step::ALL).await?;
    committed.ok_or_else(|| Error::bug("a commit ended without its record"))
}

/// Carries out the given steps, which are all of them unless a test cuts them off.
pub(super) async fn carry_out(
    ctx: &Ctx,
    services: &Services,
    prepared: Prepared,
    steps: &[Step],
) -> Result<Option<TableVersion>> {
    let Prepared { plan, schema, mut rows } = prepared;
    let table = data_table(&plan.source);
    let mut written = None;
    for step in steps {
        match step {
            Step::Intend => queries::put_intent(ctx, &services.store, &plan).await?,
            Step::Append => {
                let rows = std::mem::take(&mut rows);
                written = Some(services.engine.write(&table, schema.clone(), rows, options(&plan)).await?);
            }
            Step::Quarantine => quarantine(services, &plan).await?,
            Step::Record => {
                let written = written.take().ok_or_else(|| Error::bug("a record without a write"))?;
                return record(ctx, services, plan, written).await.map(Some);
            }
        }
    }
    Ok(None)
}

/// Finishes or forgets what an ingestion of the source intended before it was cut off. Gives the version that it finished.
pub(super) async fn recover(ctx: &Ctx, services: &Services, source: &Name) -> Result<Option<TableVersion>> {
    let Some(plan) = queries::intent(&services.store, source).await? else {
        return Ok(None);
    };
    let newest = queries::latest_version(&services.store, source).await?;
    if newest.is_some_and(|newest| newest.sequence >= plan.sequence) {
        // Another process recorded the batch under this number.
        queries::drop_intent(ctx, &services.store, &plan).await?;
        return Ok(None);
    }
    let table = data_table(source);
    let in_table = services.engine.app_version(&table, source.as_str()).await?;
    if in_table.is_none_or(|in_table| in_table < app_version(&plan)) {
        tracing::info!(source = %source, sequence = plan.sequence, "Forgetting batch {} of `{source}`, which was never written", plan.sequence);
        queries::drop_intent(ctx, &services.store, &plan).await?;
        return Ok(None);
    }
    tracing::info!(source = %source, sequence = plan.sequence, "Finishing batch {} of `{source}`, which a crash cut off", plan.sequence);
    // The table has the batch, so this write finds its version and writes nothing.
    let schema = services.engine.schema(&table, None).await?;
    let written = services.engine.write(&table, schema, Vec::new(), options(&plan)).await?;
    quarantine(services, &plan).await?;
    record(ctx, services, plan, written).await.map(Some)
}

fn app_version(plan: &BatchPlan) -> i64 {
    i64::try_from(plan.sequence).unwrap_or(i64::MAX)
}

fn options(plan: &BatchPlan) -> WriteOptions {
    let mode = plan.merge_by.clone().map_or(WriteMode::Append, |keys| WriteMode::Merge { keys });
    WriteOptions { mode, add_columns: true, app_txn: Some(transaction(plan)) }
}

fn transaction(plan: &BatchPlan) -> AppTxn {
    AppTxn { app_id: plan.source.to_string(), version: app_version(plan) }
}

async fn quarantine(services: &Services, plan: &BatchPlan) -> Result<()> {
    let Some(digest) = &plan.quarantine else {
        return Ok(());
    };
    let rows = from_parquet(services.artifacts.get(digest).await?)?;
    let options = WriteOptions { mode: WriteMode::Append, add_columns: false, app_txn: Some(transaction(plan)) };
    services.engine.write(&quarantine_table(&plan.source), quarantine_schema(), rows, options).await.map(drop)
}

async fn record(ctx: &Ctx, services: &Services, plan: BatchPlan, written: Written) -> Result<TableVersion> {
    // The table takes one batch under each number. Other rows than the plan's are those of another process.
    if written.n_rows != plan.n_rows {
        return Err(queries::conflict(&plan.source));
    }
    let committed = queries::record(ctx, &services.store, plan, written.version, written.digest).await?;
    tracing::info!(
        table = %committed.table,
        version = committed.version,
        n_rows = committed.n_rows,
        n_quarantined = committed.n_quarantined,
        "Committed version {} of table `{}`: {} rows, {} in quarantine",
        committed.version,
        committed.table,
        committed.n_rows,
        committed.n_quarantined
    );
    Ok(committed)
}
