//! Removing for good what was deleted long ago, so that it takes no space and its names are free again.

mod queries;

use std::collections::HashSet;
use std::sync::Arc;

use lw_core::{Change, Ctx, Draft, Result, RunId, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, SweepMode, Tx};

use crate::{ArtifactOwner, Experiment, ExperimentId, Lifecycle, LoggedModelId, Tracking, artifact};

const PAGE: u64 = 100;
/// So many logged rows go in one transaction, between which others write.
const PIECE: u64 = 10_000;

/// What a purge removed, or would remove.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purge {
    pub runs: Vec<RunId>,
    pub models: Vec<LoggedModelId>,
    /// With their names, which are free afterwards.
    pub experiments: Vec<(ExperimentId, String)>,
    /// Deleted runs that stay, because versions were made from them.
    pub kept_runs: Vec<RunId>,
    /// Deleted logged models that stay, because versions were made from them.
    pub kept_models: Vec<LoggedModelId>,
    /// Files of the runs and models. Their content goes with the next sweep of the store of artifacts, unless something else mentions
    /// it.
    pub n_artifacts: u64,
    pub artifact_bytes: u64,
}

impl Tracking {
    /// Removes the runs and logged models that were deleted before a time, with all that was logged about them, and the experiments
    /// that were deleted before it, once nothing is in them any more. The ledger keeps that they were there. What the lineage of
    /// something names stays.
    ///
    /// A run goes in one small transaction, and what it logged follows in pieces. What a purge that broke off has left of a run is
    /// seen by nobody, and goes with the next one.
    pub async fn purge(&self, ctx: &Ctx, deleted_before: Timestamp, mode: SweepMode) -> Result<Purge> {
        let mut purge = Purge::default();
        if mode == SweepMode::Remove {
            self.remove_rest_of_runs(ctx).await?;
        }
        let mut after = String::new();
        loop {
            let runs = self.store.read(move |reader| queries::deleted_runs(reader, deleted_before, &after, PAGE)).await?;
            let Some(last) = runs.last() else { break };
            after = last.to_string();
            for id in runs {
                match self.purge_one(ctx, Item::Run(id.clone()), deleted_before, mode).await? {
                    Fate::Removed { n_artifacts, artifact_bytes } => {
                        purge.runs.push(id);
                        purge.count(n_artifacts, artifact_bytes);
                    }
                    Fate::Needed => purge.kept_runs.push(id),
                    Fate::Restored => {}
                }
            }
        }
        let mut after = String::new();
        loop {
            let models = self.store.read(move |reader| queries::deleted_models(reader, deleted_before, &after, PAGE)).await?;
            let Some(last) = models.last() else { break };
            after = last.to_string();
            for id in models {
                match self.purge_one(ctx, Item::Model(id.clone()), deleted_before, mode).await? {
                    Fate::Removed { n_artifacts, artifact_bytes } => {
                        purge.models.push(id);
                        purge.count(n_artifacts, artifact_bytes);
                    }
                    Fate::Needed => purge.kept_models.push(id),
                    Fate::Restored => {}
                }
            }
        }
        purge.experiments = self.purge_experiments(ctx, deleted_before, &purge, mode).await?;
        Ok(purge)
    }

    async fn purge_one(&self, ctx: &Ctx, item: Item, deleted_before: Timestamp, mode: SweepMode) -> Result<Fate> {
        match mode {
            SweepMode::DryRun => self.store.read(move |reader| fate(reader, &item, deleted_before)).await,
            SweepMode::Remove => {
                let remove = move |tx: &mut Tx<'_>| {
                    let fate = fate(tx, &item, deleted_before)?;
                    if matches!(fate, Fate::Removed { .. }) {
                        remove(tx, &item)?;
                    }
                    Ok(fate)
                };
                let fate = self.store.write(ctx, remove).await?;
                self.remove_rest_of_runs(ctx).await?;
                Ok(fate)
            }
        }
    }

    /// Removes what runs logged that were purged.
    async fn remove_rest_of_runs(&self, ctx: &Ctx) -> Result<()> {
        while let Some(number) = self.store.read(queries::half_removed_run).await? {
            while self.store.write(ctx, move |tx| queries::remove_piece(tx, number, PIECE)).await? {}
        }
        Ok(())
    }

    /// Removes deleted experiments in which nothing is any more, or in a dry run would be.
    async fn purge_experiments(
        &self,
        ctx: &Ctx,
        deleted_before: Timestamp,
        gone: &Purge,
        mode: SweepMode,
    ) -> Result<Vec<(ExperimentId, String)>> {
        let experiments = self.store.read(move |reader| queries::deleted_experiments(reader, deleted_before)).await?;
        let gone = Arc::new(match mode {
            SweepMode::DryRun => Gone::of(gone),
            SweepMode::Remove => Gone::default(),
        });
        let mut purged = Vec::new();
        for id in experiments {
            let gone = Arc::clone(&gone);
            let found = match mode {
                SweepMode::DryRun => self.store.read(move |reader| empty_experiment(reader, id, deleted_before, &gone)).await?,
                SweepMode::Remove => {
                    let unfinished = move |reader: &mut Reader<'_>| purgeable(reader, id, deleted_before);
                    if let Some(experiment) = self.store.read(unfinished).await? {
                        // Its deletion may have broken off. Runs that go with it now are purged when they have been deleted as long.
                        self.delete_runs_of(ctx, &experiment).await?;
                    }
                    let remove = move |tx: &mut Tx<'_>| {
                        let found = empty_experiment(tx, id, deleted_before, &gone)?;
                        found.map(|experiment| remove_experiment(tx, &experiment).map(|()| experiment)).transpose()
                    };
                    self.store.write(ctx, remove).await?
                }
            };
            purged.extend(found.map(|experiment| (experiment.id, experiment.name)));
        }
        Ok(purged)
    }
}

/// What a dry run would have removed.
#[derive(Default)]
struct Gone {
    runs: HashSet<RunId>,
    models: HashSet<LoggedModelId>,
}

impl Gone {
    fn of(purge: &Purge) -> Self {
        Self { runs: purge.runs.iter().cloned().collect(), models: purge.models.iter().cloned().collect() }
    }
}

impl Purge {
    fn count(&mut self, n_artifacts: u64, artifact_bytes: u64) {
        self.n_artifacts += n_artifacts;
        self.artifact_bytes += artifact_bytes;
    }
}

/// What may be purged with all that hangs on it.
#[derive(Debug, Clone)]
enum Item {
    Run(RunId),
    Model(LoggedModelId),
}

impl Item {
    fn owner(&self) -> ArtifactOwner {
        match self {
            Self::Run(id) => ArtifactOwner::Run(id.clone()),
            Self::Model(id) => ArtifactOwner::LoggedModel(id.clone()),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Run(id) => Subject::unversioned(SubjectKind::Run, id.as_str()),
            Self::Model(id) => id.subject(),
        }
    }
}

/// What becomes of an item that was deleted when the purge began.
enum Fate {
    Removed { n_artifacts: u64, artifact_bytes: u64 },
    Needed,
    Restored,
}

fn fate(reader: &mut Reader<'_>, item: &Item, deleted_before: Timestamp) -> Result<Fate> {
    let is_deleted = match item {
        Item::Run(id) => crate::queries::run(reader, id)?.is_some_and(|run| {
            run.lifecycle == Lifecycle::Deleted && run.deleted_at.is_some_and(|deleted_at| deleted_at < deleted_before)
        }),
        Item::Model(id) => queries::is_deleted_model(reader, id, deleted_before)?,
    };
    if !is_deleted {
        return Ok(Fate::Restored);
    }
    if queries::is_named(reader, &item.subject())? {
        return Ok(Fate::Needed);
    }
    let artifacts = artifact::queries::below(reader, &item.owner(), "")?;
    let artifact_bytes = artifacts.iter().map(|artifact| artifact.size_bytes).sum();
    Ok(Fate::Removed { n_artifacts: artifacts.len() as u64, artifact_bytes })
}

fn remove(tx: &mut Tx<'_>, item: &Item) -> Result<()> {
    artifact::queries::remove(tx, &item.owner(), "")?;
    let (action, change, payload) = match item {
        Item::Run(id) => {
            let Some(run) = crate::queries::run(tx, id)? else { return Ok(()) };
            queries::begin_to_remove(tx, id, run.number)?;
            let payload =
                serde_json::json!({"name": run.name, "experiment": run.experiment.number(), "deleted_at": run.deleted_at});
            ("run.purge", Change::remove("run").key("id", id), payload)
        }
        Item::Model(id) => {
            let Some(model) = crate::queries::logged_model(tx, id)? else { return Ok(()) };
            queries::remove_logged_of_model(tx, id)?;
            let payload = serde_json::json!({"name": model.name, "experiment": model.experiment.number()});
            ("logged_model.purge", Change::remove("logged_model").key("id", id.as_str()), payload)
        }
    };
    tx.record(Draft::new(action, item.subject()).payload(payload).change(change))?;
    Ok(())
}

fn purgeable(reader: &mut Reader<'_>, id: ExperimentId, deleted_before: Timestamp) -> Result<Option<Experiment>> {
    let is_purged = |found: &Experiment| found.lifecycle == Lifecycle::Deleted && found.updated_at < deleted_before;
    Ok(crate::queries::experiment(reader, id)?.filter(is_purged))
}

fn empty_experiment(
    reader: &mut Reader<'_>,
    id: ExperimentId,
    deleted_before: Timestamp,
    gone: &Gone,
) -> Result<Option<Experiment>> {
    let Some(experiment) = purgeable(reader, id, deleted_before)? else { return Ok(None) };
    // One more than may be gone tells whether one stays.
    let runs = queries::runs_of(reader, id, gone.runs.len() as u64 + 1)?;
    let models = queries::models_of(reader, id, gone.models.len() as u64 + 1)?;
    let is_empty = runs.iter().all(|run| gone.runs.contains(run)) && models.iter().all(|model| gone.models.contains(model));
    Ok(is_empty.then_some(experiment))
}

fn remove_experiment(tx: &mut Tx<'_>, experiment: &Experiment) -> Result<()> {
    queries::remove_experiment_tags(tx, experiment.id)?;
    let change = Change::remove("experiment").key("id", experiment.id.number());
    let payload = serde_json::json!({"name": experiment.name});
    tx.record(Draft::new("experiment.purge", experiment.id.subject()).payload(payload).change(change))?;
    Ok(())
}
