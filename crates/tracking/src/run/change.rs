//! Changing, ending, deleting and restoring runs.

use lw_core::{Ctx, Draft, Result, RunId, Timestamp};
use lw_store::Tx;

use super::{NAME_TAG, Run, RunStatus, active, found};
use crate::{ExperimentId, Lifecycle, Tracking, queries, seal};

/// What shall change about a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunUpdate {
    pub status: Option<RunStatus>,
    pub ended_at: Option<Timestamp>,
    pub name: Option<String>,
}

impl Tracking {
    /// Changes status, end or name of a run. A status that ends the run seals it.
    pub async fn update_run(&self, ctx: &Ctx, id: &RunId, update: RunUpdate) -> Result<Run> {
        let id = id.clone();
        self.store.write(ctx, move |tx| apply(tx, &id, update)).await
    }

    /// Ends a run now and seals what it logged.
    pub async fn finish_run(&self, ctx: &Ctx, id: &RunId, status: RunStatus) -> Result<Run> {
        self.update_run(ctx, id, RunUpdate { status: Some(status), ..RunUpdate::default() }).await
    }

    /// Deletes a run so that it can be restored. Doing it twice is no error.
    pub async fn delete_run(&self, ctx: &Ctx, id: &RunId) -> Result<()> {
        let id = id.clone();
        self.store.write(ctx, move |tx| found(tx, &id).and_then(|run| delete(tx, run))).await
    }

    pub async fn restore_run(&self, ctx: &Ctx, id: &RunId) -> Result<()> {
        let id = id.clone();
        self.store.write(ctx, move |tx| found(tx, &id).and_then(|run| restore(tx, run))).await
    }
}

fn apply(tx: &mut Tx<'_>, id: &RunId, update: RunUpdate) -> Result<Run> {
    let mut run = active(found(tx, id)?)?;
    if let Some(name) = update.name.filter(|name| !name.is_empty() && *name != run.name) {
        queries::put_tags(tx, id, [(NAME_TAG, name.as_str())].into_iter())?;
        rename(tx, run, &name)?;
        run = found(tx, id)?;
    }
    let Some(status) = update.status else {
        if update.ended_at.is_none() {
            return Ok(run);
        }
        run.ended_at = update.ended_at;
        tx.record(Draft::new("run.update", run.subject()).change(run.change()))?;
        return Ok(run);
    };
    run.status = status;
    if !status.is_end() {
        run.ended_at = update.ended_at;
        let payload = serde_json::json!({"status": status});
        tx.record(Draft::new("run.update", run.subject()).payload(payload).change(run.change()))?;
        return Ok(run);
    }
    run.ended_at = update.ended_at.or(Some(tx.now()));
    let seal = seal::of(tx, id)?;
    let payload = serde_json::json!({"status": status, "seal": seal});
    run.seal = Some(seal);
    tx.record(Draft::new("run.finish", run.subject()).payload(payload).change(run.change()))?;
    Ok(run)
}

pub(crate) fn rename(tx: &mut Tx<'_>, run: Run, name: &str) -> Result<()> {
    let payload = serde_json::json!({"from": run.name, "to": name});
    let run = Run { name: name.to_owned(), ..run };
    tx.record(Draft::new("run.rename", run.subject()).payload(payload).change(run.change()))?;
    Ok(())
}

fn delete(tx: &mut Tx<'_>, run: Run) -> Result<()> {
    if run.lifecycle == Lifecycle::Deleted {
        return Ok(());
    }
    let run = Run { lifecycle: Lifecycle::Deleted, deleted_at: Some(tx.now()), ..run };
    tx.record(Draft::new("run.delete", run.subject()).change(run.change()))?;
    Ok(())
}

fn restore(tx: &mut Tx<'_>, run: Run) -> Result<()> {
    if run.lifecycle == Lifecycle::Active {
        return Ok(());
    }
    let run = Run { lifecycle: Lifecycle::Active, deleted_at: None, ..run };
    tx.record(Draft::new("run.restore", run.subject()).change(run.change()))?;
    Ok(())
}

pub(crate) fn delete_all_of(tx: &mut Tx<'_>, experiment: ExperimentId) -> Result<()> {
    let runs = queries::runs(tx, &[experiment], Some(Lifecycle::Active), None, u64::MAX)?;
    runs.into_iter().try_for_each(|run| delete(tx, run))
}

pub(crate) fn restore_all_of(tx: &mut Tx<'_>, experiment: ExperimentId) -> Result<()> {
    let runs = queries::runs(tx, &[experiment], Some(Lifecycle::Deleted), None, u64::MAX)?;
    runs.into_iter().try_for_each(|run| restore(tx, run))
}
