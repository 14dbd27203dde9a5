//! Runs: one attempt to make something, with its beginning, its end and its outcome.

use std::collections::BTreeMap;

use lw_core::{Actor, Change, Ctx, Digest, Draft, Result, RunId, Subject, SubjectKind, Timestamp, canonical_json};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::batch::{MetricPoint, truncated};
use crate::experiment::{self, MAX_PAGE};
use crate::{
    Circumstances, DatasetInput, ExperimentId, Lifecycle, RUN_DELETED, RUN_NAME_MISMATCH, RUN_NOT_FOUND, Seal, Tracking, queries,
    seal,
};

/// The tag in which MLflow's clients keep a run's name.
pub(crate) const NAME_TAG: &str = "mlflow.runName";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    Running,
    Scheduled,
    Finished,
    Failed,
    Killed,
}

impl RunStatus {
    pub const ALL: &[Self] = &[Self::Running, Self::Scheduled, Self::Finished, Self::Failed, Self::Killed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Scheduled => "scheduled",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }

    /// Whether the run has ended with this status.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }

    fn of(text: &str) -> Result<Self> {
        let status = Self::ALL.iter().find(|status| status.name() == text);
        status.copied().ok_or_else(|| lw_core::Error::bug(format!("`{text}` is stored as the status of a run")))
    }
}

/// A run that shall start.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub experiment: ExperimentId,
    /// Without a name here or in the tag `mlflow.runName`, the run is named after its id.
    pub name: Option<String>,
    /// Now, unless the run began elsewhere.
    pub started_at: Option<Timestamp>,
    pub tags: Vec<(String, String)>,
    pub circumstances: Circumstances,
    /// The versions that the run reads, for lineage: role and subject.
    pub inputs: Vec<lw_core::Reference>,
}

impl NewRun {
    pub fn of(experiment: ExperimentId, circumstances: Circumstances) -> Self {
        Self { experiment, name: None, started_at: None, tags: Vec::new(), circumstances, inputs: Vec::new() }
    }

    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    #[must_use]
    pub fn input(mut self, role: &str, subject: Subject, digest: impl Into<Option<Digest>>) -> Self {
        self.inputs.push(lw_core::Reference::new(role, subject, digest));
        self
    }
}

/// A run without what it logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub experiment: ExperimentId,
    pub name: String,
    pub started_by: Actor,
    pub status: RunStatus,
    pub lifecycle: Lifecycle,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub circumstances: Circumstances,
    /// What the run had logged when it ended.
    pub seal: Option<Seal>,
}

/// A run with what it logged: of each metric the latest point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunData {
    pub run: Run,
    pub params: BTreeMap<String, String>,
    pub metrics: BTreeMap<String, MetricPoint>,
    pub tags: BTreeMap<String, String>,
    pub datasets: Vec<DatasetInput>,
}

/// What shall change about a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunUpdate {
    pub status: Option<RunStatus>,
    pub ended_at: Option<Timestamp>,
    pub name: Option<String>,
}

impl Run {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let seal = row.opt_text("seal")?.map(|_| row.json("seal")).transpose()?;
        Ok(Self {
            id: RunId::parse(&row.text("id")?)?,
            experiment: ExperimentId::new(row.count("experiment")?),
            name: row.text("name")?,
            started_by: Actor::new(&row.text("started_by")?),
            status: RunStatus::of(&row.text("status")?)?,
            lifecycle: Lifecycle::of(&row.text("lifecycle")?),
            started_at: row.time("started_at")?,
            ended_at: row.opt_time("ended_at")?,
            deleted_at: row.opt_time("deleted_at")?,
            circumstances: row.json("circumstances")?,
            seal,
        })
    }

    /// How ledger entries name the run.
    pub fn subject(&self) -> Subject {
        Subject::unversioned(SubjectKind::Run, self.id.as_str())
    }

    fn change(&self) -> Change {
        // Not canonical JSON, which rounds seeds above 2^53.
        let circumstances = serde_json::to_string(&self.circumstances).expect("circumstances are plain JSON");
        Change::put("run")
            .key("id", &self.id)
            .set("experiment", self.experiment.number())
            .set("name", &self.name)
            .set("started_by", &self.started_by)
            .set("status", self.status.name())
            .set("lifecycle", self.lifecycle.name())
            .set("started_at", self.started_at)
            .set("ended_at", self.ended_at)
            .set("deleted_at", self.deleted_at)
            .set("circumstances", circumstances)
            .set("seal", self.seal.as_ref().map(canonical_json))
    }
}

impl Tracking {
    /// Starts a run. Its tag `mlflow.runName` and its name agree: one given fills the other, both given must be the same.
    pub async fn start_run(&self, ctx: &Ctx, new: NewRun) -> Result<Run> {
        let id = ctx.ids.next_run();
        self.store.write(ctx, move |tx| start(tx, id, new)).await
    }

    pub async fn run(&self, id: &RunId) -> Result<RunData> {
        let id = id.clone();
        self.store.read(move |reader| data(reader, &id)).await
    }

    /// The runs of experiments, newest first; ties by id. `before` continues after that run of the page before.
    pub async fn runs(
        &self,
        experiments: &[ExperimentId],
        lifecycle: Option<Lifecycle>,
        before: Option<(Timestamp, RunId)>,
        limit: u64,
    ) -> Result<Vec<RunData>> {
        let experiments = experiments.to_vec();
        self.store
            .read(move |reader| {
                let runs = queries::runs(reader, &experiments, lifecycle, before.as_ref(), limit.clamp(1, MAX_PAGE))?;
                runs.into_iter().map(|run| with_data(reader, run)).collect()
            })
            .await
    }

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

fn start(tx: &mut Tx<'_>, id: RunId, new: NewRun) -> Result<Run> {
    let experiment = experiment::active(experiment::found(tx, new.experiment)?)?;
    let tagged = new.tags.iter().find(|(key, _)| key == NAME_TAG).map(|(_, name)| name.clone());
    let name = match (new.name.filter(|name| !name.is_empty()), tagged) {
        (Some(name), Some(tagged)) if name != tagged => {
            return Err(RUN_NAME_MISMATCH
                .error(format!("the run is called `{name}`, but its tag `{NAME_TAG}` says `{tagged}`"))
                .hint("give the name once, or the same one twice"));
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => format!("run-{}", &id.as_str()[24..]),
    };
    let started_at = new.started_at.unwrap_or(tx.now());
    let run = Run {
        id,
        experiment: experiment.id,
        name,
        started_by: tx.actor().clone(),
        status: RunStatus::Running,
        lifecycle: Lifecycle::Active,
        started_at,
        ended_at: None,
        deleted_at: None,
        circumstances: new.circumstances,
        seal: None,
    };
    for (key, value) in &new.tags {
        crate::batch::check_key(key)?;
        queries::put_tag(tx, &run.id, key, truncated(value, 8000))?;
    }
    queries::put_tag(tx, &run.id, NAME_TAG, &run.name)?;
    let payload = serde_json::json!({"name": run.name, "experiment": experiment.name});
    let mut draft = Draft::new("run.start", run.subject()).payload(payload).change(run.change());
    draft.inputs = new.inputs;
    tx.record(draft)?;
    Ok(run)
}

fn apply(tx: &mut Tx<'_>, id: &RunId, update: RunUpdate) -> Result<Run> {
    let mut run = active(found(tx, id)?)?;
    if let Some(name) = update.name.filter(|name| !name.is_empty() && *name != run.name) {
        queries::put_tag(tx, id, NAME_TAG, &name)?;
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

pub(crate) fn found(reader: &mut Reader<'_>, id: &RunId) -> Result<Run> {
    queries::run(reader, id)?.ok_or_else(|| RUN_NOT_FOUND.error(format!("there is no run with the id {id}")))
}

pub(crate) fn active(run: Run) -> Result<Run> {
    if run.lifecycle == Lifecycle::Active {
        return Ok(run);
    }
    Err(RUN_DELETED.error(format!("the run {} must be in the 'active' state", run.id)).hint("restore the run first"))
}

fn data(reader: &mut Reader<'_>, id: &RunId) -> Result<RunData> {
    let run = found(reader, id)?;
    with_data(reader, run)
}

fn with_data(reader: &mut Reader<'_>, run: Run) -> Result<RunData> {
    Ok(RunData {
        params: queries::params(reader, &run.id)?,
        metrics: queries::latest_points(reader, &run.id)?,
        tags: queries::tags(reader, &run.id)?,
        datasets: queries::datasets(reader, &run.id)?,
        run,
    })
}
