//! Steps: where they stand, and what their attempts left.

use lw_core::{Digest, Error, Result, Timestamp};
use lw_store::{Reader, Row, Tx};

use crate::Manifest;
use crate::run::{PipelineRunId, StepError, StepView};
use crate::step::{Step, StepState};

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

pub fn steps(db: &mut Reader<'_>, run: &PipelineRunId) -> Result<Vec<(Step, StepView)>> {
    let rows = db.query(
        "SELECT step, state, n_needs, n_failures, n_losses, n_signals, fence, available_at, reason, manifest, cached_from, \
         error_code, error, started_at, finished_at FROM pipeline_step WHERE run = $1 ORDER BY position",
        &[run.into()],
    )?;
    rows.iter().map(|row| Ok((step(row)?, step_view(row)?))).collect()
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
        attempt: small(row, "n_failures")? + small(row, "n_losses")? + u32::from(has_attempt_open),
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

pub fn small(row: &Row, column: &str) -> Result<u32> {
    u32::try_from(row.int(column)?).map_err(|error| Error::bug(format!("column `{column}` holds no small count")).cause(error))
}
