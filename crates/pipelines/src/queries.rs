//! Every statement of the engine. Whatever changes a run's steps takes the run's row of `pipeline_progress` first.

use lw_core::{Actor, Digest, Error, Name, Result, Scalar, Timestamp};
use lw_store::{Reader, Row, Tx};

use crate::run::{PipelineRunId, RunState, RunSummary, StepError, StepView};
use crate::step::{Step, StepState};
use crate::{LogLine, Manifest};

/// How far a run is, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub n_open: i64,
    pub n_failed: i64,
    pub n_lines: i64,
    pub is_cancelling: bool,
}

pub fn definition(db: &mut Reader<'_>, digest: &Digest) -> Result<Option<String>> {
    let row = db.query_opt("SELECT definition FROM pipeline_version WHERE digest = $1", &[digest.into()])?;
    row.map(|row| row.text("definition")).transpose()
}

pub fn deployed(db: &mut Reader<'_>, pipeline: &Name) -> Result<Option<Digest>> {
    let row = db.query_opt("SELECT digest FROM pipeline WHERE pipeline = $1", &[pipeline.into()])?;
    row.map(|row| row.digest("digest")).transpose()
}

pub fn all_deployed(db: &mut Reader<'_>) -> Result<Vec<(Name, Digest)>> {
    let rows = db.query("SELECT pipeline, digest FROM pipeline ORDER BY pipeline", &[])?;
    rows.iter().map(|row| Ok((Name::parse(&row.text("pipeline")?)?, row.digest("digest")?))).collect()
}

/// Says that a cause has started a run for a key. Returns the run that it had started before, if so.
pub fn insert_fire(tx: &mut Tx<'_>, cause: &str, dedupe_key: &str, run: &PipelineRunId) -> Result<Option<PipelineRunId>> {
    let inserted = tx.execute(
        "INSERT INTO pipeline_fire (cause, dedupe_key, run) VALUES ($1, $2, $3) ON CONFLICT (cause, dedupe_key) DO NOTHING",
        &[cause.into(), dedupe_key.into(), run.into()],
    )?;
    if inserted == 1 {
        return Ok(None);
    }
    let row =
        tx.query_opt("SELECT run FROM pipeline_fire WHERE cause = $1 AND dedupe_key = $2", &[cause.into(), dedupe_key.into()])?;
    let row = row.ok_or_else(|| Error::bug("a fire that exists was not found"))?;
    PipelineRunId::parse(&row.text("run")?).map(Some)
}

pub fn insert_progress(tx: &mut Tx<'_>, run: &PipelineRunId, n_open: usize) -> Result<()> {
    let n_open = i64::try_from(n_open).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO pipeline_progress (run, n_open, n_failed, n_lines, is_cancelling) VALUES ($1, $2, 0, 0, 0)",
        &[run.into(), n_open.into()],
    )?;
    Ok(())
}

/// Takes the run's row, so that this transaction is alone with the run until it ends, and reserves numbers for log lines.
/// `None` if there is no such run.
pub fn take_progress(tx: &mut Tx<'_>, run: &PipelineRunId, n_new_lines: usize) -> Result<Option<Progress>> {
    let n_new_lines = i64::try_from(n_new_lines).unwrap_or(i64::MAX);
    let row = tx.query_opt(
        "UPDATE pipeline_progress SET n_lines = n_lines + $2 WHERE run = $1 RETURNING n_open, n_failed, n_lines, is_cancelling",
        &[run.into(), n_new_lines.into()],
    )?;
    let progress = |row: Row| {
        let (n_open, n_failed, n_lines) = (row.int("n_open")?, row.int("n_failed")?, row.int("n_lines")?);
        Ok(Progress { n_open, n_failed, n_lines, is_cancelling: row.bool("is_cancelling")? })
    };
    row.map(progress).transpose()
}

pub fn save_progress(tx: &mut Tx<'_>, run: &PipelineRunId, progress: Progress) -> Result<()> {
    tx.execute(
        "UPDATE pipeline_progress SET n_open = $2, n_failed = $3, is_cancelling = $4 WHERE run = $1",
        &[run.into(), progress.n_open.into(), progress.n_failed.into(), i64::from(progress.is_cancelling).into()],
    )?;
    Ok(())
}

pub fn insert_step(tx: &mut Tx<'_>, run: &PipelineRunId, key: &str, position: usize, step: Step) -> Result<()> {
    let (state, n_needs, available_at) = state_columns(step.state);
    tx.execute(
        "INSERT INTO pipeline_step (run, step, position, state, n_needs, n_failures, n_losses, n_signals, fence, available_at) \
         VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, $6)",
        &[run.into(), key.into(), (position as u64).into(), state.into(), n_needs.into(), available_at.into()],
    )?;
    Ok(())
}

/// Locks a step's row and reads it as it stands now.
pub fn take_step(tx: &mut Tx<'_>, run: &PipelineRunId, key: &str) -> Result<Step> {
    let row = tx.query_opt(
        "UPDATE pipeline_step SET fence = fence WHERE run = $1 AND step = $2 \
         RETURNING state, n_needs, n_failures, n_losses, n_signals, fence, available_at",
        &[run.into(), key.into()],
    )?;
    step(&row.ok_or_else(|| Error::bug(format!("run {run} has no step `{key}`")))?)
}

/// Writes where a step stands. A step that does not run has no worker.
pub fn save_step(tx: &mut Tx<'_>, run: &PipelineRunId, key: &str, step: Step) -> Result<()> {
    let (state, n_needs, available_at) = state_columns(step.state);
    let finished_at = step.state.is_over().then(|| tx.now());
    tx.execute(
        "UPDATE pipeline_step SET state = $3, n_needs = $4, n_failures = $5, n_losses = $6, n_signals = $7, fence = $8, \
         available_at = $9, finished_at = $10, worker = NULL, incarnation = NULL, lease_until = NULL \
         WHERE run = $1 AND step = $2",
        &[
            run.into(),
            key.into(),
            state.into(),
            n_needs.into(),
            step.n_failures.into(),
            step.n_losses.into(),
            step.n_signals.into(),
            step.fence.into(),
            available_at.into(),
            finished_at.into(),
        ],
    )?;
    Ok(())
}

/// Gives a step that was just claimed to a worker.
pub fn lease_step(tx: &mut Tx<'_>, run: &PipelineRunId, key: &str, holder: &Holder, until: Timestamp) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "UPDATE pipeline_step SET worker = $3, incarnation = $4, lease_until = $5, started_at = $6, reason = NULL, \
         error = NULL, error_code = NULL WHERE run = $1 AND step = $2",
        &[run.into(), key.into(), (&holder.worker).into(), (&holder.incarnation).into(), until.into(), now.into()],
    )?;
    Ok(())
}

/// Who holds a lease: a worker by its lasting name, and this life of its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub worker: String,
    pub incarnation: String,
}

/// What an attempt left behind.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    pub manifest: Option<Manifest>,
    pub cached_from: Option<PipelineRunId>,
    pub error: Option<StepError>,
    pub reason: Option<String>,
}

pub fn save_ending(tx: &mut Tx<'_>, run: &PipelineRunId, key: &str, ending: &Ending) -> Result<()> {
    let manifest = ending.manifest.as_ref();
    let (code, message) = ending.error.as_ref().map(|error| (error.code.as_str(), error.message.as_str())).unzip();
    tx.execute(
        "UPDATE pipeline_step SET manifest = $3, manifest_digest = $4, cached_from = $5, error_code = $6, error = $7, reason = $8 \
         WHERE run = $1 AND step = $2",
        &[
            run.into(),
            key.into(),
            manifest.map(lw_core::canonical_json).into(),
            manifest.map(Manifest::digest).into(),
            ending.cached_from.as_ref().into(),
            code.into(),
            message.into(),
            ending.reason.as_ref().into(),
        ],
    )?;
    Ok(())
}

pub fn save_signal(tx: &mut Tx<'_>, run: &PipelineRunId, key: &str, signal: &serde_json::Value) -> Result<()> {
    tx.execute(
        "UPDATE pipeline_step SET signal = $3 WHERE run = $1 AND step = $2",
        &[run.into(), key.into(), lw_core::canonical_json(signal).into()],
    )?;
    Ok(())
}

pub fn signal(db: &mut Reader<'_>, run: &PipelineRunId, key: &str) -> Result<Option<serde_json::Value>> {
    let sql = "SELECT signal FROM pipeline_step WHERE run = $1 AND step = $2 AND signal IS NOT NULL";
    db.query_opt(sql, &[run.into(), key.into()])?.map(|row| row.json("signal")).transpose()
}

pub fn manifest(db: &mut Reader<'_>, run: &PipelineRunId, key: &str) -> Result<Manifest> {
    let sql = "SELECT manifest FROM pipeline_step WHERE run = $1 AND step = $2";
    let row = db.query_opt(sql, &[run.into(), key.into()])?;
    row.ok_or_else(|| Error::bug(format!("run {run} has no step `{key}`")))?.json("manifest")
}

/// A step that could be claimed, with what it needs to know of its run.
#[derive(Debug)]
pub struct Candidate {
    pub run: PipelineRunId,
    pub key: String,
    pub digest: Digest,
    pub run_params: serde_json::Value,
    pub started_by: Actor,
}

/// The steps that have waited longest.
pub fn candidates(db: &mut Reader<'_>, now: Timestamp, limit: usize) -> Result<Vec<Candidate>> {
    let rows = db.query(
        "SELECT s.run, s.step, r.digest, r.params, r.started_by FROM pipeline_step s JOIN pipeline_run r ON r.run = s.run \
         WHERE s.available_at <= $1 ORDER BY s.available_at, s.position LIMIT $2",
        &[now.into(), (limit as u64).into()],
    )?;
    let candidate = |row: &Row| {
        Ok(Candidate {
            run: PipelineRunId::parse(&row.text("run")?)?,
            key: row.text("step")?,
            digest: row.digest("digest")?,
            run_params: row.json("params")?,
            started_by: Actor::new(&row.text("started_by")?),
        })
    };
    rows.iter().map(candidate).collect()
}

/// When the next step can be claimed.
pub fn next_available(db: &mut Reader<'_>) -> Result<Option<Timestamp>> {
    let row = db.query_opt("SELECT MIN(available_at) AS next FROM pipeline_step", &[])?;
    row.map_or(Ok(None), |row| row.opt_time("next"))
}

/// Extends the lease of a step. False if the step has been taken away.
pub fn extend_lease(tx: &mut Tx<'_>, run: &PipelineRunId, key: &str, fence: i64, until: Timestamp) -> Result<bool> {
    let n_rows = tx.execute(
        "UPDATE pipeline_step SET lease_until = $4 WHERE run = $1 AND step = $2 AND fence = $3 AND state = 'running'",
        &[run.into(), key.into(), fence.into(), until.into()],
    )?;
    Ok(n_rows == 1)
}

pub fn is_cancelling(db: &mut Reader<'_>, run: &PipelineRunId) -> Result<bool> {
    let row = db.query_opt("SELECT is_cancelling FROM pipeline_progress WHERE run = $1", &[run.into()])?;
    row.map_or(Ok(false), |row| row.bool("is_cancelling"))
}

/// A step that runs, as far as the database knows.
#[derive(Debug, Clone)]
pub struct Leased {
    pub run: PipelineRunId,
    pub key: String,
    pub fence: i64,
    pub digest: Digest,
}

/// Steps whose lease has passed.
pub fn expired(db: &mut Reader<'_>, now: Timestamp) -> Result<Vec<Leased>> {
    let rows = db.query(
        "SELECT s.run, s.step, s.fence, r.digest FROM pipeline_step s JOIN pipeline_run r ON r.run = s.run \
         WHERE s.lease_until < $1 ORDER BY s.run, s.position LIMIT 1000",
        &[now.into()],
    )?;
    rows.iter().map(leased).collect()
}

/// Steps that an earlier life of this worker held when it died.
pub fn orphans(db: &mut Reader<'_>, holder: &Holder) -> Result<Vec<Leased>> {
    let rows = db.query(
        "SELECT s.run, s.step, s.fence, r.digest FROM pipeline_step s JOIN pipeline_run r ON r.run = s.run \
         WHERE s.lease_until IS NOT NULL AND s.worker = $1 AND s.incarnation <> $2 ORDER BY s.run, s.position",
        &[(&holder.worker).into(), (&holder.incarnation).into()],
    )?;
    rows.iter().map(leased).collect()
}

pub fn cached(db: &mut Reader<'_>, cache_key: &Digest) -> Result<Option<(PipelineRunId, Manifest)>> {
    let row = db.query_opt("SELECT run, manifest FROM pipeline_cache WHERE cache_key = $1", &[cache_key.into()])?;
    row.map(|row| Ok((PipelineRunId::parse(&row.text("run")?)?, row.json("manifest")?))).transpose()
}

/// Remembers a manifest. The latest wins: an entry is only replaced when what it names is gone.
pub fn insert_cached(tx: &mut Tx<'_>, cache_key: &Digest, run: &PipelineRunId, key: &str, manifest: &Manifest) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "INSERT INTO pipeline_cache (cache_key, run, step, manifest, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (cache_key) DO UPDATE SET run = excluded.run, step = excluded.step, manifest = excluded.manifest, \
         created_at = excluded.created_at",
        &[cache_key.into(), run.into(), key.into(), lw_core::canonical_json(manifest).into(), now.into()],
    )?;
    Ok(())
}

/// Appends lines. `last` is the number of the last of them, as `take_progress` reserved it.
pub fn insert_lines(
    tx: &mut Tx<'_>,
    run: &PipelineRunId,
    (key, attempt): (&str, u32),
    lines: &[(Timestamp, String)],
    last: i64,
) -> Result<()> {
    let first = last - i64::try_from(lines.len()).unwrap_or(i64::MAX) + 1;
    for ((at, line), cursor) in lines.iter().zip(first..) {
        tx.execute(
            "INSERT INTO pipeline_log (run, cursor_at, step, attempt, at, line) VALUES ($1, $2, $3, $4, $5, $6)",
            &[run.into(), cursor.into(), key.into(), attempt.into(), (*at).into(), line.into()],
        )?;
    }
    Ok(())
}

pub fn lines(db: &mut Reader<'_>, run: &PipelineRunId, after: i64, limit: u64) -> Result<Vec<LogLine>> {
    let rows = db.query(
        "SELECT cursor_at, step, attempt, at, line FROM pipeline_log WHERE run = $1 AND cursor_at > $2 ORDER BY cursor_at LIMIT $3",
        &[run.into(), after.into(), limit.into()],
    )?;
    let line = |row: &Row| {
        let (step, attempt) = (row.text("step")?, small(row, "attempt")?);
        Ok(LogLine { cursor: row.int("cursor_at")?, step, attempt, at: row.time("at")?, line: row.text("line")? })
    };
    rows.iter().map(line).collect()
}

pub fn schedules_due(db: &mut Reader<'_>, now: Timestamp) -> Result<Vec<(Name, Timestamp)>> {
    let rows = db.query(
        "SELECT pipeline, next_fire FROM pipeline_schedule WHERE next_fire <= $1 ORDER BY next_fire LIMIT 1000",
        &[now.into()],
    )?;
    rows.iter().map(|row| Ok((Name::parse(&row.text("pipeline")?)?, row.time("next_fire")?))).collect()
}

pub fn next_schedule(db: &mut Reader<'_>) -> Result<Option<Timestamp>> {
    let row = db.query_opt("SELECT MIN(next_fire) AS next FROM pipeline_schedule", &[])?;
    row.map_or(Ok(None), |row| row.opt_time("next"))
}

/// Moves a schedule on. False if somebody else has done so.
pub fn advance_schedule(tx: &mut Tx<'_>, pipeline: &Name, from: Timestamp, to: Timestamp) -> Result<bool> {
    let n_rows = tx.execute(
        "UPDATE pipeline_schedule SET next_fire = $3 WHERE pipeline = $1 AND next_fire = $2",
        &[pipeline.into(), from.into(), to.into()],
    )?;
    Ok(n_rows == 1)
}

pub fn set_schedule(tx: &mut Tx<'_>, pipeline: &Name, next_fire: Option<Timestamp>) -> Result<()> {
    tx.execute("DELETE FROM pipeline_schedule WHERE pipeline = $1", &[pipeline.into()])?;
    if let Some(next_fire) = next_fire {
        let parameters = [pipeline.into(), next_fire.into()];
        tx.execute("INSERT INTO pipeline_schedule (pipeline, next_fire) VALUES ($1, $2)", &parameters)?;
    }
    Ok(())
}

const RUN_COLUMNS: &str = "run, pipeline, digest, cause, dedupe_key, params, started_by, state, started_at, finished_at";

/// A run as its governed row has it.
#[derive(Debug, Clone)]
pub struct RunRow {
    pub summary: RunSummary,
    pub dedupe_key: Option<String>,
}

pub fn run(db: &mut Reader<'_>, run: &PipelineRunId) -> Result<Option<RunRow>> {
    let row = db.query_opt(&format!("SELECT {RUN_COLUMNS} FROM pipeline_run WHERE run = $1"), &[run.into()])?;
    row.as_ref().map(run_row).transpose()
}

/// The newest runs first, of one pipeline or of all, from before a time.
pub fn runs(db: &mut Reader<'_>, pipeline: Option<&Name>, before: Timestamp, limit: u64) -> Result<Vec<RunRow>> {
    let rows = match pipeline {
        Some(pipeline) => db.query(
            &format!(
                "SELECT {RUN_COLUMNS} FROM pipeline_run WHERE pipeline = $1 AND started_at < $2 \
                 ORDER BY started_at DESC, run DESC LIMIT $3"
            ),
            &[pipeline.into(), before.into(), limit.into()],
        )?,
        None => db.query(
            &format!("SELECT {RUN_COLUMNS} FROM pipeline_run WHERE started_at < $1 ORDER BY started_at DESC, run DESC LIMIT $2"),
            &[before.into(), limit.into()],
        )?,
    };
    rows.iter().map(run_row).collect()
}

pub fn steps(db: &mut Reader<'_>, run: &PipelineRunId) -> Result<Vec<(Step, StepView)>> {
    let rows = db.query(
        "SELECT step, state, n_needs, n_failures, n_losses, n_signals, fence, available_at, reason, manifest, cached_from, \
         error_code, error, started_at, finished_at FROM pipeline_step WHERE run = $1 ORDER BY position",
        &[run.into()],
    )?;
    rows.iter().map(|row| Ok((step(row)?, step_view(row)?))).collect()
}

fn run_row(row: &Row) -> Result<RunRow> {
    let state: String = row.text("state")?;
    let states = [RunState::Running, RunState::Cancelling, RunState::Succeeded, RunState::Failed, RunState::Cancelled];
    let state = states.into_iter().find(|known| known.name() == state);
    let summary = RunSummary {
        run: PipelineRunId::parse(&row.text("run")?)?,
        pipeline: Name::parse(&row.text("pipeline")?)?,
        digest: row.digest("digest")?,
        cause: row.text("cause")?,
        params: row.json("params")?,
        started_by: Actor::new(&row.text("started_by")?),
        state: state.ok_or_else(|| Error::bug("a run has a state that this version does not know"))?,
        started_at: row.time("started_at")?,
        finished_at: row.opt_time("finished_at")?,
    };
    Ok(RunRow { summary, dedupe_key: row.opt_text("dedupe_key")? })
}

fn step_view(row: &Row) -> Result<StepView> {
    let state = row.text("state")?;
    let error = match (row.opt_text("error_code")?, row.opt_text("error")?) {
        (Some(code), Some(message)) => Some(StepError { code, message }),
        _ => None,
    };
    let has_attempt_open = matches!(state.as_str(), "running" | "waiting" | "succeeded");
    let manifest = if row.opt_text("manifest")?.is_some() { Some(row.json("manifest")?) } else { None };
    Ok(StepView {
        key: row.text("step")?,
        attempt: small(row, "n_failures")? + u32::from(has_attempt_open),
        state,
        fence: row.int("fence")?,
        reason: row.opt_text("reason")?,
        manifest,
        cached_from: row.opt_text("cached_from")?.map(|run| PipelineRunId::parse(&run)).transpose()?,
        error,
        started_at: row.opt_time("started_at")?,
        finished_at: row.opt_time("finished_at")?,
    })
}

fn leased(row: &Row) -> Result<Leased> {
    let run = PipelineRunId::parse(&row.text("run")?)?;
    Ok(Leased { run, key: row.text("step")?, fence: row.int("fence")?, digest: row.digest("digest")? })
}

fn state_columns(state: StepState) -> (&'static str, u32, Option<Timestamp>) {
    match state {
        StepState::Blocked { n_needs } => (state.name(), n_needs, None),
        StepState::Ready { from } => (state.name(), 0, Some(from)),
        StepState::Waiting { until } => (state.name(), 0, until),
        _ => (state.name(), 0, None),
    }
}

fn step(row: &Row) -> Result<Step> {
    let state: String = row.text("state")?;
    let state = match state.as_str() {
        "blocked" => StepState::Blocked { n_needs: small(row, "n_needs")? },
        "ready" => StepState::Ready { from: row.time("available_at")? },
        "running" => StepState::Running,
        "waiting" => StepState::Waiting { until: row.opt_time("available_at")? },
        "succeeded" => StepState::Succeeded,
        "failed" => StepState::Failed,
        "skipped" => StepState::Skipped,
        "cancelled" => StepState::Cancelled,
        other => return Err(Error::bug(format!("a step has the state `{other}`, which this version does not know"))),
    };
    Ok(Step {
        state,
        fence: row.int("fence")?,
        n_failures: small(row, "n_failures")?,
        n_losses: small(row, "n_losses")?,
        n_signals: small(row, "n_signals")?,
    })
}

fn small(row: &Row, column: &str) -> Result<u32> {
    u32::try_from(row.int(column)?).map_err(|error| Error::bug(format!("column `{column}` holds no small count")).cause(error))
}

/// The columns of a run's governed row that are not its key.
pub fn run_change(row: &RunRow) -> lw_core::Change {
    let summary = &row.summary;
    lw_core::Change::put("pipeline_run")
        .key("run", &summary.run)
        .set("pipeline", &summary.pipeline)
        .set("digest", summary.digest)
        .set("cause", &summary.cause)
        .set("dedupe_key", row.dedupe_key.as_ref())
        .set("params", lw_core::canonical_json(&summary.params))
        .set("started_by", &summary.started_by)
        .set("state", summary.state.name())
        .set("started_at", summary.started_at)
        .set("finished_at", summary.finished_at.map(Scalar::from))
}
