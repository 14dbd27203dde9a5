//! The engine's front: deploy, start, watch, signal, cancel and resume.

use std::sync::Arc;
use std::time::Duration;

use lw_core::{Change, Ctx, Digest, Draft, Name, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Store, Tx};
use serde::Serialize;
use tokio::sync::watch;

use crate::active::Alive;
use crate::compiled::{Compiled, Definitions};
use crate::run::{PipelineRunId, RunSummary, RunView, Start, Started};
use crate::trouble::{Trouble, Troubles};
use crate::{LogLine, PipelineDefinition, RUN_UNFINISHED, UNKNOWN_PIPELINE, UNKNOWN_PIPELINE_RUN, journal, queries};

/// How often a wait looks for what other processes did.
const POLL: Duration = Duration::from_millis(200);
/// How many runs or log lines one answer holds at most.
pub const MAX_PAGE: u64 = 1_000;

/// The pipelines of a metadata database. Cheap to clone. Steps run in a [`Worker`](crate::Worker).
#[derive(Clone)]
pub struct Pipelines {
    pub(crate) store: Store,
    pub(crate) definitions: Definitions,
    pub(crate) alive: Alive,
    pub(crate) troubles: Troubles,
    news: Arc<watch::Sender<u64>>,
}

impl Pipelines {
    pub fn new(store: Store) -> Self {
        let (definitions, alive, troubles) = (Definitions::default(), Alive::default(), Troubles::default());
        Self { store, definitions, alive, troubles, news: Arc::new(watch::channel(0).0) }
    }

    /// What keeps the workers of this process from going on, while it does.
    pub fn trouble(&self) -> Option<Trouble> {
        self.troubles.worst()
    }

    /// Makes a definition the one that the pipeline's name stands for, and sets its schedule. Running runs keep theirs. Deploying
    /// an earlier definition again rolls back.
    pub async fn deploy(&self, ctx: &Ctx, definition: PipelineDefinition) -> Result<Digest> {
        let compiled = Compiled::new(definition)?;
        let digest = compiled.digest;
        self.definitions.add(&compiled);
        self.store.write(ctx, move |tx| deploy(tx, &compiled)).await?;
        self.announce();
        Ok(digest)
    }

    /// The deployed definition of a pipeline.
    pub async fn definition(&self, pipeline: &Name) -> Result<PipelineDefinition> {
        let (definitions, pipeline) = (self.definitions.clone(), pipeline.clone());
        let compiled = self.store.read(move |db| deployed(db, &definitions, &pipeline)).await?;
        Ok(compiled.definition.clone())
    }

    /// The deployed pipelines after a name, by name, at most `limit` and at most 1,000.
    pub async fn list(&self, after: Option<&Name>, limit: u64) -> Result<Vec<Deployed>> {
        let after = after.cloned();
        self.store.read(move |db| queries::all_deployed(db, after.as_ref(), limit.min(MAX_PAGE))).await
    }

    /// What stands behind a pipeline's name, and when its schedule fires next.
    pub async fn deployed(&self, pipeline: &Name) -> Result<Deployed> {
        let pipeline = pipeline.clone();
        self.store.read(move |db| queries::one_deployed(db, &pipeline)?.ok_or_else(|| unknown(&pipeline))).await
    }

    /// Takes a pipeline off its name: its schedule stops, and nothing starts it any more. Running runs go on with the definition
    /// that they have, and the history stays. False if no such pipeline is deployed.
    pub async fn retire(&self, ctx: &Ctx, pipeline: &Name) -> Result<bool> {
        let pipeline = pipeline.clone();
        self.store.write(ctx, move |tx| retire(tx, &pipeline)).await
    }

    /// Starts a run of the deployed definition.
    pub async fn start(&self, ctx: &Ctx, pipeline: &Name, start: Start) -> Result<Started> {
        let run = PipelineRunId::from_u128(ctx.ids.next());
        let (definitions, pipeline) = (self.definitions.clone(), pipeline.clone());
        let started = self
            .store
            .write(ctx, move |tx| {
                let compiled = deployed(tx, &definitions, &pipeline)?;
                journal::begin(tx, &compiled, &start, &run)
            })
            .await?;
        self.announce();
        Ok(started)
    }

    /// Starts a run of a definition that need not be deployed.
    pub async fn start_definition(&self, ctx: &Ctx, definition: PipelineDefinition, start: Start) -> Result<Started> {
        let run = PipelineRunId::from_u128(ctx.ids.next());
        let compiled = Compiled::new(definition)?;
        self.definitions.add(&compiled);
        let started = self.store.write(ctx, move |tx| journal::begin(tx, &compiled, &start, &run)).await?;
        self.announce();
        Ok(started)
    }

    /// Stops a run: steps that run are told to stop, no other begins.
    pub async fn cancel(&self, ctx: &Ctx, run: &PipelineRunId) -> Result<()> {
        let (definitions, run) = (self.definitions.clone(), run.clone());
        self.store
            .write(ctx, move |tx| {
                let compiled = pinned(tx, &definitions, &run)?;
                journal::cancel(tx, &compiled, &run)
            })
            .await?;
        self.announce();
        Ok(())
    }

    /// Continues a run that failed or was cancelled: finished steps stay finished, all others run.
    pub async fn resume(&self, ctx: &Ctx, run: &PipelineRunId) -> Result<()> {
        let (definitions, run) = (self.definitions.clone(), run.clone());
        self.store
            .write(ctx, move |tx| {
                let compiled = pinned(tx, &definitions, &run)?;
                journal::resume(tx, &compiled, &run)
            })
            .await?;
        self.announce();
        Ok(())
    }

    /// Wakes a step that waits, with a value for it. A signal that comes before the step waits is kept for it.
    pub async fn signal(&self, ctx: &Ctx, run: &PipelineRunId, step: &str, value: serde_json::Value) -> Result<()> {
        let (definitions, run, step) = (self.definitions.clone(), run.clone(), step.to_owned());
        self.store
            .write(ctx, move |tx| {
                let compiled = pinned(tx, &definitions, &run)?;
                let position = compiled.position(&step)?;
                journal::signal(tx, &compiled, &run, position, &value)
            })
            .await?;
        self.announce();
        Ok(())
    }

    pub async fn run(&self, run: &PipelineRunId) -> Result<RunView> {
        let run = run.clone();
        self.store
            .read(move |db| {
                let row = queries::run(db, &run)?.ok_or_else(|| journal::unknown_run(&run))?;
                view(db, row.summary)
            })
            .await
    }

    /// The run that a text means: an id, the beginning of one (four digits or more), or the name of a pipeline for its newest run.
    pub async fn find(&self, text: &str) -> Result<PipelineRunId> {
        if let Ok(id) = PipelineRunId::parse(text) {
            return Ok(id);
        }
        let given = text.to_owned();
        self.store.read(move |db| find(db, &given)).await
    }

    /// [`Pipelines::runs`] with their steps.
    pub async fn views(&self, pipeline: Option<&Name>, before: Timestamp, limit: u64) -> Result<Vec<RunView>> {
        let pipeline = pipeline.cloned();
        let read = move |db: &mut Reader<'_>| {
            let rows = queries::runs(db, pipeline.as_ref(), before, limit.min(MAX_PAGE))?;
            rows.into_iter().map(|row| view(db, row.summary)).collect()
        };
        self.store.read(read).await
    }

    /// Runs that started before a time, newest first, at most `limit` and at most 1,000.
    pub async fn runs(&self, pipeline: Option<&Name>, before: Timestamp, limit: u64) -> Result<Vec<RunSummary>> {
        let pipeline = pipeline.cloned();
        let rows = self.store.read(move |db| queries::runs(db, pipeline.as_ref(), before, limit.min(MAX_PAGE))).await?;
        Ok(rows.into_iter().map(|row| row.summary).collect())
    }

    /// The runs of a pipeline that are not over, at most 1,000.
    pub async fn open_runs(&self, pipeline: &Name) -> Result<Vec<PipelineRunId>> {
        let pipeline = pipeline.clone();
        self.store.read(move |db| queries::open_runs(db, &pipeline, MAX_PAGE)).await
    }

    /// The lines of a run's log, or of one of its steps, after a cursor (0 for all), at most `limit` and at most 1,000. Ask again with
    /// the last cursor.
    pub async fn log(&self, run: &PipelineRunId, step: Option<&str>, after: i64, limit: u64) -> Result<Vec<LogLine>> {
        let (run, step) = (run.clone(), step.map(str::to_owned));
        self.store.read(move |db| queries::lines(db, &run, step.as_deref(), after, limit.min(MAX_PAGE))).await
    }

    /// Returns when the run is over, or fails with `pipeline-run-unfinished` after the deadline.
    pub async fn wait(&self, run: &PipelineRunId, deadline: Duration) -> Result<RunView> {
        let look = async {
            let mut news = self.subscribe();
            loop {
                let view = self.run(run).await?;
                if view.summary.state.is_over() {
                    return Ok(view);
                }
                let _ = tokio::time::timeout(POLL, news.changed()).await;
            }
        };
        tokio::time::timeout(deadline, look).await.unwrap_or_else(|_| {
            let error = RUN_UNFINISHED.error(format!("run {run} is not over after {} s", deadline.as_secs()));
            Err(error.hint("it goes on; look at it again later, or cancel it"))
        })
    }

    /// Tells the workers and waiters of this process that something may have changed.
    pub fn announce(&self) {
        self.news.send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}

/// A pipeline that runs can be started of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deployed {
    pub pipeline: Name,
    pub digest: Digest,
    /// When its schedule fires next, if it has one.
    pub next_fire: Option<Timestamp>,
}

fn view(db: &mut Reader<'_>, summary: RunSummary) -> Result<RunView> {
    let steps = queries::steps(db, &summary.run)?.into_iter().map(|(_, view)| view).collect();
    Ok(RunView { summary, steps })
}

fn find(db: &mut Reader<'_>, text: &str) -> Result<PipelineRunId> {
    let is_beginning = (4..32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let begun = if is_beginning { queries::runs_beginning(db, text, 2)? } else { Vec::new() };
    let newest = match Name::parse(text) {
        Ok(pipeline) if begun.is_empty() => queries::runs(db, Some(&pipeline), Timestamp::from_micros(i64::MAX), 1)?.pop(),
        _ => None,
    };
    let shown: String = text.chars().take(80).collect();
    match (begun.as_slice(), newest) {
        ([one], _) => Ok(one.clone()),
        ([], Some(newest)) => Ok(newest.summary.run),
        ([], None) => Err(UNKNOWN_PIPELINE_RUN
            .error(format!("`{}` is no run, and no pipeline that has run", shown.escape_debug()))
            .hint("`loopwright runs` lists the runs; the first digits of an id are enough")),
        _ => Err(UNKNOWN_PIPELINE_RUN
            .error(format!("several runs begin with `{}`", shown.escape_debug()))
            .hint("give more digits of the id")),
    }
}

fn retire(tx: &mut Tx<'_>, pipeline: &Name) -> Result<bool> {
    let Some(digest) = queries::deployed(tx, pipeline)? else {
        return Ok(false);
    };
    let subject = Subject::unversioned(SubjectKind::Pipeline, pipeline);
    let draft = Draft::new("pipeline.retire", subject.clone())
        .input("definition", subject, digest)
        .change(Change::remove("pipeline").key("pipeline", pipeline));
    tx.record(draft)?;
    queries::set_schedule(tx, pipeline, None)?;
    Ok(true)
}

fn deploy(tx: &mut Tx<'_>, compiled: &Compiled) -> Result<()> {
    let pipeline = &compiled.definition.pipeline;
    if queries::deployed(tx, pipeline)? == Some(compiled.digest) {
        return Ok(());
    }
    let schedule = compiled.definition.schedule.as_ref();
    let mut draft = Draft::new("pipeline.deploy", Subject::unversioned(SubjectKind::Pipeline, pipeline))
        .output("definition", Subject::unversioned(SubjectKind::Pipeline, pipeline), compiled.digest)
        .payload(serde_json::json!({"steps": compiled.definition.steps.len(), "schedule": schedule}))
        .change(Change::put("pipeline").key("pipeline", pipeline).set("digest", compiled.digest));
    if queries::definition(tx, &compiled.digest)?.is_none() {
        draft = draft.change(journal::register_change(compiled));
    }
    tx.record(draft)?;
    let next_fire = schedule.map(|schedule| schedule.next_after(tx.now())).transpose()?;
    queries::set_schedule(tx, pipeline, next_fire)
}

pub(crate) fn deployed(db: &mut Reader<'_>, definitions: &Definitions, pipeline: &Name) -> Result<Arc<Compiled>> {
    let digest = queries::deployed(db, pipeline)?.ok_or_else(|| unknown(pipeline))?;
    definitions.get(db, &digest)
}

fn unknown(pipeline: &Name) -> lw_core::Error {
    UNKNOWN_PIPELINE
        .error(format!("there is no pipeline `{pipeline}`"))
        .hint("`loopwright pipelines` lists them; `loopwright apply` brings new ones")
}

/// The definition that a run is pinned to.
fn pinned(db: &mut Reader<'_>, definitions: &Definitions, run: &PipelineRunId) -> Result<Arc<Compiled>> {
    let row = queries::run(db, run)?.ok_or_else(|| journal::unknown_run(run))?;
    definitions.get(db, &row.summary.digest)
}
