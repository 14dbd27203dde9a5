//! Changing, ending, deleting and restoring runs.

use lw_core::{Ctx, Draft, Result, RunId, Timestamp};
use lw_store::{Reader, Tx};

use super::{NAME_TAG, Run, RunStatus, active, found, target};
use crate::seal::{self, Part};
use crate::{ExperimentId, Lifecycle, Seal, Tracking, queries};

/// What shall change about a run. What is not given stays as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunUpdate {
    pub status: Option<RunStatus>,
    pub ended_at: Option<Timestamp>,
    pub name: Option<String>,
}

impl Tracking {
    /// Changes status, end or name of a run. A status that ends the run seals what it had logged by then.
    pub async fn update_run(&self, ctx: &Ctx, id: &RunId, update: RunUpdate) -> Result<Run> {
        let ends = update.status.is_some_and(RunStatus::is_end);
        // Digesting a long history would keep everybody's writes waiting, so it is read beside them.
        let seal = if ends { Some(self.seal(id).await?) } else { None };
        let id = id.clone();
        self.store.write(ctx, move |tx| apply(tx, &id, update, seal)).await
    }

    /// Ends a run now and seals what it logged.
    pub async fn finish_run(&self, ctx: &Ctx, id: &RunId, status: RunStatus) -> Result<Run> {
        let update = RunUpdate { status: Some(status), ended_at: Some(ctx.now()), name: None };
        self.update_run(ctx, id, update).await
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

fn apply(tx: &mut Tx<'_>, id: &RunId, update: RunUpdate, seal: Option<Seal>) -> Result<Run> {
    let mut run = active(found(tx, id)?)?;
    if let Some(name) = update.name.filter(|name| !name.is_empty() && *name != run.name) {
        queries::put_tags(tx, run.number, [(NAME_TAG, name.as_str())].into_iter())?;
        rename(tx, id, &name)?;
        let target = target(tx, id)?;
        seal::renew(tx, id, &target, &[Part::Tags])?;
        run = found(tx, id)?;
    }
    if update.status.is_none() && update.ended_at.is_none() {
        return Ok(run);
    }
    run.status = update.status.unwrap_or(run.status);
    run.ended_at = update.ended_at.or(run.ended_at);
    match (update.status, seal) {
        (None, _) => tx.record(Draft::new("run.update", run.subject()).change(run.change()))?,
        (Some(status), Some(seal)) => {
            let seal = seal::at_end(tx, &run, seal)?;
            let payload = serde_json::json!({"status": status, "seal": seal});
            run.seal = Some(seal);
            tx.record(Draft::new("run.finish", run.subject()).payload(payload).change(run.change()))?
        }
        (Some(status), None) => {
            // A run that goes on is not sealed any more.
            run.seal = None;
            let payload = serde_json::json!({"status": status});
            tx.record(Draft::new("run.update", run.subject()).payload(payload).change(run.change()))?
        }
    };
    Ok(run)
}

pub(crate) fn rename(tx: &mut Tx<'_>, id: &RunId, name: &str) -> Result<()> {
    let run = found(tx, id)?;
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

pub(crate) fn has_active(reader: &mut Reader<'_>, experiment: ExperimentId) -> Result<bool> {
    Ok(!queries::runs(reader, &[experiment], Some(Lifecycle::Active), None, 1)?.is_empty())
}

/// Deletes the next active runs of an experiment, after the given place in the order of [`queries::runs`]. Returns where to go on, if
/// more may follow.
pub(crate) fn delete_some_of(
    tx: &mut Tx<'_>,
    experiment: ExperimentId,
    last: Option<&(Timestamp, RunId)>,
    limit: u64,
) -> Result<Option<(Timestamp, RunId)>> {
    let runs = queries::runs(tx, &[experiment], Some(Lifecycle::Active), last, limit)?;
    let place = runs.last().map(|run| (run.started_at, run.id.clone())).filter(|_| runs.len() as u64 == limit);
    runs.into_iter().try_for_each(|run| delete(tx, run))?;
    Ok(place)
}

/// Restores some of the deleted runs of an experiment and says how many.
pub(crate) fn restore_some_of(tx: &mut Tx<'_>, experiment: ExperimentId, limit: u64) -> Result<u64> {
    let runs = queries::runs(tx, &[experiment], Some(Lifecycle::Deleted), None, limit)?;
    let n_runs = runs.len() as u64;
    runs.into_iter().try_for_each(|run| restore(tx, run))?;
    Ok(n_runs)
}
