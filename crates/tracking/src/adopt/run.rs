//! Runs of another server.

use std::collections::BTreeMap;

use lw_core::{Ctx, Draft, Result, RunId, Timestamp};
use lw_store::Tx;

use super::{Adopted, waits_for_its_import};
use crate::batch::MAX_TAG_CHARS;
use crate::key::{MAX_KEY_CHARS, check_length, truncated};
use crate::run::{NAME_TAG, found};
use crate::seal;
use crate::{Circumstances, ExperimentId, Lifecycle, Run, RunStatus, Seal, Tracking, experiment, location, names, queries};

/// A run that another server recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct AdoptedRun {
    pub id: RunId,
    pub experiment: ExperimentId,
    /// If it is empty, the tag `mlflow.runName` counts, and without that the run gets a name.
    pub name: String,
    pub user_id: String,
    pub started_at: Timestamp,
    pub tags: Vec<(String, String)>,
    /// The other server, as the ledger names it.
    pub source: String,
}

/// How a run stands on the other server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunEnd {
    pub status: RunStatus,
    pub ended_at: Option<Timestamp>,
    pub is_deleted: bool,
    /// When; now if the other server does not tell.
    pub deleted_at: Option<Timestamp>,
}

impl Tracking {
    /// Begins to bring a run. It runs until [`Self::finish_adopted_run`]. A run that is there already is returned as it is. The
    /// experiment may be deleted.
    ///
    /// # Errors
    /// `experiment-not-found`, `bad-log-key` for a tag whose key is too long.
    pub async fn adopt_run(&self, ctx: &Ctx, wanted: AdoptedRun) -> Result<Adopted<Run>> {
        let spare_name = names::random(ctx);
        let mut adopted = self.store.write(ctx, move |tx| adopt(tx, spare_name, wanted)).await?;
        if adopted.is_open && !adopted.is_new {
            let subject = adopted.item.subject();
            adopted.is_open =
                waits_for_its_import(&self.store, subject, "run.import", &["run.finish", "run.delete", "run.restore"]).await?;
        }
        Ok(adopted)
    }

    /// Gives a run the end that it has on the other server. A status that ends it seals what it logged. A run that goes on there
    /// stays open here; one that is sealed or deleted here stays as it is.
    ///
    /// # Errors
    /// `run-not-found`.
    pub async fn finish_adopted_run(&self, ctx: &Ctx, id: &RunId, end: RunEnd) -> Result<Run> {
        // Read beside the writes of others, as for every run that ends.
        let seal = if end.status.is_end() { Some(self.seal(id).await?) } else { None };
        let id = id.clone();
        self.store.write(ctx, move |tx| finish(tx, &id, end, seal)).await
    }
}

fn adopt(tx: &mut Tx<'_>, spare_name: String, wanted: AdoptedRun) -> Result<Adopted<Run>> {
    if let Some(run) = queries::run(tx, &wanted.id)? {
        let is_open = run.seal.is_none() && run.lifecycle == Lifecycle::Active;
        return Ok(Adopted { item: run, is_new: false, is_open });
    }
    let experiment = experiment::found(tx, wanted.experiment)?;
    let mut tags: BTreeMap<&str, &str> = BTreeMap::new();
    for (key, value) in &wanted.tags {
        check_length(|| "key".to_owned(), key, MAX_KEY_CHARS)?;
        tags.insert(key, truncated(value, MAX_TAG_CHARS));
    }
    let tagged = tags.get(NAME_TAG).copied().unwrap_or_default();
    let name = [&*wanted.name, tagged, &*spare_name].into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned();
    tags.insert(NAME_TAG, &name);
    let run = Run {
        artifact_uri: location::below(&experiment.artifact_location, &[wanted.id.as_str(), "artifacts"]),
        id: wanted.id,
        number: queries::next_run_number(tx)?,
        experiment: experiment.id,
        name: name.clone(),
        started_by: tx.actor().clone(),
        user_id: wanted.user_id,
        status: RunStatus::Running,
        lifecycle: Lifecycle::Active,
        started_at: wanted.started_at,
        ended_at: None,
        deleted_at: None,
        circumstances: Circumstances::default().or_of_tags(|key| tags.get(key).copied()),
        seal: None,
    };
    queries::put_tags(tx, run.number, tags.into_iter())?;
    let payload = serde_json::json!({"name": run.name, "experiment": experiment.name, "source": wanted.source});
    tx.record(Draft::new("run.import", run.subject()).payload(payload).change(run.change()))?;
    Ok(Adopted::new(run))
}

fn finish(tx: &mut Tx<'_>, id: &RunId, end: RunEnd, seal: Option<Seal>) -> Result<Run> {
    let before = found(tx, id)?;
    if before.seal.is_some() || before.lifecycle == Lifecycle::Deleted {
        return Ok(before);
    }
    let seal = match seal {
        Some(seal) => Some(seal::at_end(tx, &before, seal)?),
        None => None,
    };
    let mut run = Run { status: end.status, ended_at: end.ended_at, seal, ..before.clone() };
    if end.is_deleted {
        (run.lifecycle, run.deleted_at) = (Lifecycle::Deleted, Some(end.deleted_at.unwrap_or(tx.now())));
    }
    if run == before {
        return Ok(run);
    }
    let action = match (end.status.is_end(), end.is_deleted) {
        (true, _) => "run.finish",
        (false, true) => "run.delete",
        (false, false) => "run.update",
    };
    let mut payload = serde_json::json!({"status": run.status, "lifecycle": run.lifecycle, "imported": true});
    if let Some(seal) = &run.seal {
        payload["seal"] = serde_json::json!(seal);
    }
    tx.record(Draft::new(action, run.subject()).payload(payload).change(run.change()))?;
    Ok(run)
}
