//! What callers ask of a workspace: apply a project, start runs, let the steps run.

use std::sync::Arc;
use std::time::Duration;

use lw_core::{Ctx, Entry, Error, Name, Result};
use lw_pipelines::{Canceller, Worker, WorkerOptions};
use lw_store::{EntryFilter, Store, Verification};
use lw_tracking::Tracking;

use crate::check::check;
use crate::compile;
use crate::failures::CHECK_FAILED;
use crate::features;
use crate::plan::{Plan, plan};
use crate::project::Project;
use crate::retirement;
use crate::state::{self, Applied};
use crate::steps::Steps;
use crate::table_types;
use crate::workspace::Workspace;

/// Steps that run at the same time.
pub(crate) const N_SLOTS: usize = 2;

impl Workspace {
    /// What applying a project would change here.
    pub async fn plan(&self, project: &Project) -> Result<Plan> {
        let running = state::running(self.store(), self.artifacts()).await?;
        let plan = plan(running.as_ref().map(|running| &*running.project), project);
        let plan = retirement::with_ends(plan, project, &self.standing().await?);
        table_types::with_conflicts(plan, project, self).await
    }

    /// Makes a project the one that runs: its views are registered, its pipelines deployed, its files recorded, and the pipelines
    /// that it no longer has retired.
    ///
    /// # Errors
    /// `check-failed` if the project does not hold together, `model-serves` if it lacks a model that serves, `source-type-changed` if a source would change
    /// the type of a table's column; then nothing changes.
    pub async fn apply(&self, ctx: &Ctx, project: Project) -> Result<(Plan, Applied)> {
        let errors = check(&project);
        if let Some(first) = errors.first() {
            let others = if errors.len() > 1 { format!(" (and {} more)", errors.len() - 1) } else { String::new() };
            return Err(CHECK_FAILED
                .error(format!("{first}{others}"))
                .hint("`loopwright check` lists all faults with their hints"));
        }
        let plan = self.plan(&project).await?;
        plan.allow()?;
        features::register(self, ctx, &project).await?;
        for file in project.models.values() {
            self.pipelines().deploy(ctx, compile::model_pipeline(&project, &file.value)?).await?;
        }
        for file in project.pipelines.values() {
            self.pipelines().deploy(ctx, compile::user_pipeline(&project, &file.value)).await?;
        }
        let applied = state::record(ctx, self.store(), self.artifacts(), &project, &plan).await?;
        self.retire_missing(ctx, &project).await?;
        Ok((plan, applied))
    }

    /// Runs steps in this call until nothing can go on at this moment of the clock.
    pub async fn work_until_idle(&self) -> Result<()> {
        self.worker().drain(&self.own_ctx("worker")).await.map(drop)
    }

    /// Runs steps in the background until the workspace is closed.
    pub fn start_work(&self) {
        let workspace = self.clone();
        let (canceller, shutdown) = Canceller::new();
        let work = tokio::spawn(async move {
            let ctx = workspace.own_ctx("worker");
            if let Err(error) = workspace.worker().run(&ctx, shutdown).await {
                tracing::error!(?error, "The worker ended: {error}");
            }
        });
        self.keep_worker(canceller, work);
    }

    /// The worker is called after the workspace, so that the next process that opens it takes back at once what a dead one held,
    /// whichever of them was a server.
    fn worker(&self) -> Worker {
        let runner = Arc::new(Steps::new(self.clone()));
        let options = WorkerOptions::new(&format!("workspace:{}", self.id()), N_SLOTS);
        Worker::new(&self.own_ctx("worker"), self.pipelines().clone(), runner, options)
    }

    /// Whether anything was ever done here.
    pub async fn has_history(&self) -> Result<bool> {
        Ok(!self.entries_after(0).await?.is_empty())
    }

    /// Ledger entries after a sequence number, oldest first: all of them, page by page.
    pub async fn entries_after(&self, after: u64) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        loop {
            let after = entries.last().map_or(after, |entry: &Entry| entry.seq);
            let page = self.store().entries(EntryFilter { after_seq: Some(after), limit: PAGE, ..EntryFilter::all() }).await?;
            let is_last = (page.len() as u64) < PAGE;
            entries.extend(page);
            if is_last {
                return Ok(entries);
            }
        }
    }

    /// One sentence about the ledger's soundness, or what is wrong with it.
    pub async fn verify(&self) -> Result<String> {
        let verification = verify(self.store()).await?;
        if verification.is_sound() {
            let (n_entries, n_rows) = (verification.n_entries, verification.n_rows);
            return Ok(format!(
                "the ledger verifies: {n_entries} entries, {n_rows} business rows, {} sealed runs",
                verification.n_seals
            ));
        }
        let findings: Vec<String> = verification.findings.iter().map(ToString::to_string).collect();
        Err(Error::bug(format!("the ledger does not verify: {}", findings.join("; "))))
    }
}

/// Checks the whole ledger, every governed row, and what the ledger seals: all that the runs that have ended logged.
pub async fn verify(store: &Store) -> Result<Verification> {
    let mut verification = store.verify().await?;
    Tracking::new(store.clone()).verify_seals(&mut verification).await?;
    Ok(verification)
}

const PAGE: u64 = 500;

const LOOK: Duration = Duration::from_millis(200);

/// How long a decision waits for the run that it lets go on.
const SETTLE: Duration = Duration::from_secs(60);

impl Workspace {
    /// Waits until the newest run of a model is over or waits for a person, and returns its id.
    pub async fn settle(&self, model: &Name) -> Result<Option<lw_pipelines::PipelineRunId>> {
        let now = self.clock().now() + lw_core::Span::from_secs(1);
        let Some(newest) = self.pipelines().runs(Some(model), now, 1).await?.into_iter().next() else {
            return Ok(None);
        };
        let deadline = tokio::time::Instant::now() + SETTLE;
        loop {
            let run = self.pipelines().run(&newest.run).await?;
            let is_parked = run.steps.iter().any(|step| step.state == "waiting")
                && !run.steps.iter().any(|step| matches!(step.state.as_str(), "ready" | "running"));
            if run.summary.state.is_over() || is_parked || tokio::time::Instant::now() >= deadline {
                return Ok(Some(newest.run));
            }
            // Wakes at the run's end, or to look again whether it waits for a person.
            match self.pipelines().wait(&newest.run, LOOK).await {
                Err(error) if !error.is(lw_pipelines::RUN_UNFINISHED) => return Err(error),
                _ => {}
            }
        }
    }

    /// Brings one feature view of the running project, or all, up to date online.
    pub async fn materialize(&self, ctx: &Ctx, view: Option<&Name>) -> Result<Vec<features::MaterializedView>> {
        let project = self.project().await?.project;
        features::materialize(self, ctx, &project, view).await
    }

    /// The five answers about a model, for people.
    pub async fn why_text(&self, model: &Name) -> Result<String> {
        Ok(lw_governance::why(self.store(), model, None).await?.to_text())
    }

    /// Tracked runs of all experiments, newest first, for lists.
    pub async fn tracked_runs(&self, limit: u64) -> Result<Vec<serde_json::Value>> {
        let tracking = Tracking::new(self.store().clone());
        let experiments = tracking.experiments(None, None, PAGE).await?;
        let ids: Vec<_> = experiments.iter().map(|experiment| experiment.id).collect();
        let runs = tracking.runs(&ids, None, None, limit).await?;
        let name_of = |id| experiments.iter().find(|experiment| experiment.id == id).map(|experiment| experiment.name.clone());
        let view = |data: lw_tracking::RunData| {
            serde_json::json!({
                "run_id": data.run.id, "experiment": name_of(data.run.experiment), "name": data.run.name, "status": data.run.status,
                "started_at": data.run.started_at, "ended_at": data.run.ended_at, "params": data.params,
                "metrics": data.metrics.iter().map(|(key, point)| (key.clone(), point.value)).collect::<std::collections::BTreeMap<_, _>>(),
                "tags": data.tags, "circumstances": data.run.circumstances,
            })
        };
        Ok(runs.into_iter().map(view).collect())
    }
}
