//! What happens to runs, each as one transaction's work: begin, report, lose, signal, cancel, resume, finish.

use lw_core::{Change, Draft, Error, Result, Subject, SubjectKind, Timestamp};
use lw_store::Tx;
use serde_json::{Value, json};

use crate::compiled::Compiled;
use crate::progress::{Outcome, Steps, apply, reset};
use crate::queries::{self, Ending, Progress, RunRow};
use crate::run::{PipelineRunId, RunState, RunSummary, Start, Started, StepError};
use crate::step::{Event, Report, Rules, Stale, Step, StepState};
use crate::{LEASE_LOST, Manifest, RUN_STATE, STEP_LOST, UNKNOWN_PIPELINE_RUN};

/// The steps of one run in the database.
struct SqlSteps<'t, 'c> {
    tx: &'t mut Tx<'c>,
    run: &'t PipelineRunId,
    compiled: &'t Compiled,
}

impl Steps for SqlSteps<'_, '_> {
    fn load(&mut self, position: usize) -> Result<Step> {
        queries::take_step(self.tx, self.run, &self.compiled.step(position).key)
    }

    fn save(&mut self, position: usize, step: Step) -> Result<()> {
        queries::save_step(self.tx, self.run, &self.compiled.step(position).key, step)
    }
}

pub fn register_change(compiled: &Compiled) -> Change {
    Change::put("pipeline_version")
        .key("digest", compiled.digest)
        .set("pipeline", &compiled.definition.pipeline)
        .set("definition", lw_core::canonical_json(&compiled.definition))
}

/// Creates a run with its steps, or finds the one that the same cause and key started before.
pub fn begin(tx: &mut Tx<'_>, compiled: &Compiled, start: &Start, run: &PipelineRunId) -> Result<Started> {
    if let Some(key) = &start.dedupe_key
        && let Some(earlier) = queries::insert_fire(tx, &start.cause, key, run)?
    {
        return Ok(Started { run: earlier, is_new: false });
    }
    let summary = RunSummary {
        run: run.clone(),
        pipeline: compiled.definition.pipeline.clone(),
        digest: compiled.digest,
        cause: start.cause.clone(),
        params: start.params.clone(),
        started_by: tx.actor().clone(),
        state: RunState::Running,
        started_at: tx.now(),
        finished_at: None,
    };
    let row = RunRow { summary, dedupe_key: start.dedupe_key.clone() };
    let payload = json!({"cause": start.cause, "dedupe_key": start.dedupe_key, "params": start.params});
    let mut draft = entry("pipeline_run.start", &row).payload(payload).change(queries::run_change(&row));
    if queries::definition(tx, &compiled.digest)?.is_none() {
        draft = draft.change(register_change(compiled));
    }
    tx.record(draft)?;

    let now = tx.now();
    queries::insert_progress(tx, run, compiled.definition.steps.len())?;
    for (position, step) in compiled.definition.steps.iter().enumerate() {
        let n_needs = u32::try_from(step.needs.len()).map_err(|error| Error::bug("a step has billions of needs").cause(error))?;
        queries::insert_step(tx, run, &step.key, position, Step::new(n_needs, now))?;
    }
    Ok(Started { run: run.clone(), is_new: true })
}

/// What a worker says of the step it holds.
#[derive(Debug)]
pub struct Message {
    pub position: usize,
    pub fence: i64,
    pub attempt: u32,
    pub report: Report,
    pub ending: Ending,
    pub lines: Vec<(Timestamp, String)>,
    /// Under which key the manifest may be found by other runs.
    pub cache_key: Option<lw_core::Digest>,
}

/// What a report led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    pub n_released: usize,
    /// How the run ended, if this ended it.
    pub finished: Option<RunState>,
}

/// Takes a worker's report. Fails with `lease-lost`, changing nothing, if the step is no longer the worker's.
pub fn report(tx: &mut Tx<'_>, compiled: &Compiled, run: &PipelineRunId, message: &Message) -> Result<Reported> {
    let step = compiled.step(message.position);
    let mut progress = take(tx, run, message.lines.len())?;
    let event = Event::Report { fence: message.fence, report: message.report };
    let outcome = spread(tx, compiled, run, (message.position, event), progress.is_cancelling)?.map_err(|Stale| {
        LEASE_LOST
            .error(format!("step `{}` of run {run} is no longer held with fence {}", step.key, message.fence))
            .hint("another worker has taken it over; what this one did since is not recorded")
    })?;
    queries::save_ending(tx, run, &step.key, &message.ending)?;
    queries::insert_lines(tx, run, (&step.key, message.attempt), &message.lines, progress.n_lines)?;
    if let (Some(key), Some(manifest)) = (&message.cache_key, &message.ending.manifest) {
        queries::insert_cached(tx, key, run, &step.key, manifest)?;
    }
    let finished = settle(tx, compiled, run, &mut progress, &outcome)?;
    Ok(Reported { n_released: outcome.released.len(), finished })
}

/// Takes a step from a worker that died. No effect if it has reported or lost the step since.
pub fn lose(tx: &mut Tx<'_>, compiled: &Compiled, run: &PipelineRunId, position: usize, fence: i64) -> Result<Reported> {
    let mut progress = take(tx, run, 0)?;
    let Ok(outcome) = spread(tx, compiled, run, (position, Event::Lose { fence }), progress.is_cancelling)? else {
        return Ok(Reported { n_released: 0, finished: None });
    };
    if outcome.n_failed > 0 && !progress.is_cancelling {
        let message = format!("the process that ran the step died {} times", crate::step::MAX_LOSSES);
        let error = StepError { code: STEP_LOST.code.to_owned(), message };
        queries::save_ending(tx, run, &compiled.step(position).key, &Ending { error: Some(error), ..Ending::default() })?;
    }
    let finished = settle(tx, compiled, run, &mut progress, &outcome)?;
    Ok(Reported { n_released: outcome.released.len(), finished })
}

/// Wakes a step that waits, or tells one that does not wait yet. The value replaces that of an earlier signal.
pub fn signal(tx: &mut Tx<'_>, compiled: &Compiled, run: &PipelineRunId, position: usize, value: &Value) -> Result<()> {
    let progress = take(tx, run, 0)?;
    let key = &compiled.step(position).key;
    spread(tx, compiled, run, (position, Event::Signal), progress.is_cancelling)?.map_err(|Stale| {
        RUN_STATE.error(format!("step `{key}` of run {run} is over")).hint("a signal reaches steps that wait or are still to run")
    })?;
    queries::save_signal(tx, run, key, value)
}

/// Cancels what has not begun; what runs is stopped by its worker. Asking twice is no error.
pub fn cancel(tx: &mut Tx<'_>, compiled: &Compiled, run: &PipelineRunId) -> Result<()> {
    let mut progress = take(tx, run, 0)?;
    let mut row = queries::run(tx, run)?.ok_or_else(|| unknown_run(run))?;
    match row.summary.state {
        RunState::Cancelling => return Ok(()),
        RunState::Running => {}
        over => {
            let error = RUN_STATE.error(format!("run {run} has {} already", over.name()));
            return Err(error.hint("only a run that is running can be cancelled"));
        }
    }
    row.summary.state = RunState::Cancelling;
    tx.record(entry("pipeline_run.cancel", &row).change(queries::run_change(&row)))?;
    progress.is_cancelling = true;
    let mut outcome = Outcome::default();
    for position in 0..compiled.definition.steps.len() {
        if let Ok(one) = spread(tx, compiled, run, (position, Event::Cancel), true)? {
            outcome.n_closed += one.n_closed;
            outcome.n_failed += one.n_failed;
        }
    }
    settle(tx, compiled, run, &mut progress, &outcome)?;
    Ok(())
}

/// Runs what did not succeed once more, and nothing else.
pub fn resume(tx: &mut Tx<'_>, compiled: &Compiled, run: &PipelineRunId) -> Result<()> {
    take(tx, run, 0)?;
    let mut row = queries::run(tx, run)?.ok_or_else(|| unknown_run(run))?;
    if !matches!(row.summary.state, RunState::Failed | RunState::Cancelled) {
        let steps = queries::steps(tx, run)?;
        if let Some(reason) = steps.iter().find_map(|(_, step)| step.reason.as_ref().filter(|_| step.state == "waiting")) {
            let error = RUN_STATE.error(format!("run {run} is not over: {reason}"));
            return Err(error.hint("it goes on by itself once what it waits for is there; `loopwright cancel` ends it"));
        }
        let error = RUN_STATE.error(format!("run {run} is {}", row.summary.state.name()));
        return Err(error.hint("only a run that has failed or was cancelled can be resumed; start a new run instead"));
    }
    row.summary.state = RunState::Running;
    row.summary.finished_at = None;
    tx.record(entry("pipeline_run.resume", &row).change(queries::run_change(&row)))?;

    let before: Vec<Step> = queries::steps(tx, run)?.into_iter().map(|(step, _)| step).collect();
    let now = tx.now();
    let mut n_open = 0;
    for (position, step) in reset(&before, &compiled.graph, now).into_iter().enumerate() {
        if step.state != StepState::Succeeded {
            let key = &compiled.step(position).key;
            queries::save_step(tx, run, key, step)?;
            queries::save_ending(tx, run, key, &Ending::default())?;
            n_open += 1;
        }
    }
    queries::save_progress(tx, run, Progress { n_open, n_failed: 0, n_lines: 0, is_cancelling: false })
}

fn take(tx: &mut Tx<'_>, run: &PipelineRunId, n_lines: usize) -> Result<Progress> {
    queries::take_progress(tx, run, n_lines)?.ok_or_else(|| unknown_run(run))
}

pub fn unknown_run(run: &PipelineRunId) -> Error {
    UNKNOWN_PIPELINE_RUN.error(format!("there is no pipeline run {run}")).hint("list the runs to find its id")
}

fn spread(
    tx: &mut Tx<'_>,
    compiled: &Compiled,
    run: &PipelineRunId,
    (position, event): (usize, Event),
    is_cancelling: bool,
) -> Result<std::result::Result<Outcome, Stale>> {
    let rules = Rules { retries: &compiled.step(position).retries, is_cancelling, now: tx.now() };
    let mut steps = SqlSteps { tx, run, compiled };
    apply(&mut steps, &compiled.graph, position, event, rules)
}

/// Counts what was closed, and finishes the run if nothing is open.
fn settle(
    tx: &mut Tx<'_>,
    compiled: &Compiled,
    run: &PipelineRunId,
    progress: &mut Progress,
    outcome: &Outcome,
) -> Result<Option<RunState>> {
    progress.n_open -= i64::from(outcome.n_closed);
    progress.n_failed += i64::from(outcome.n_failed);
    queries::save_progress(tx, run, *progress)?;
    if progress.n_open > 0 {
        return Ok(None);
    }
    let state = match (progress.is_cancelling, progress.n_failed > 0) {
        (true, true) => RunState::Cancelled,
        (false, true) => RunState::Failed,
        (_, false) => RunState::Succeeded,
    };
    finish(tx, compiled, run, state)?;
    Ok(Some(state))
}

fn finish(tx: &mut Tx<'_>, compiled: &Compiled, run: &PipelineRunId, state: RunState) -> Result<()> {
    let mut row = queries::run(tx, run)?.ok_or_else(|| unknown_run(run))?;
    row.summary.state = state;
    row.summary.finished_at = Some(tx.now());
    let mut steps = serde_json::Map::new();
    for (step, (_, view)) in compiled.definition.steps.iter().zip(queries::steps(tx, run)?) {
        let digest = view.manifest.as_ref().map(Manifest::digest);
        steps.insert(step.key.clone(), json!({"state": view.state, "manifest": digest}));
    }
    let payload = json!({"state": state, "steps": steps});
    tx.record(entry("pipeline_run.finish", &row).payload(payload).change(queries::run_change(&row)))?;
    Ok(())
}

fn entry(action: &'static str, row: &RunRow) -> Draft {
    let summary = &row.summary;
    Draft::new(action, Subject::unversioned(SubjectKind::PipelineRun, summary.run.as_str())).input(
        "definition",
        Subject::unversioned(SubjectKind::Pipeline, &summary.pipeline),
        summary.digest,
    )
}
