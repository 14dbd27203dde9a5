//! Runs: their governed rows, and how far they are.

use lw_core::{Actor, Error, Name, Result, Scalar, Timestamp};
use lw_store::{Reader, Row, Tx};

use crate::run::{PipelineRunId, RunState, RunSummary};

/// How far a run is, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub n_open: i64,
    pub n_failed: i64,
    pub n_lines: i64,
    pub is_cancelling: bool,
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

pub fn is_cancelling(db: &mut Reader<'_>, run: &PipelineRunId) -> Result<bool> {
    let row = db.query_opt("SELECT is_cancelling FROM pipeline_progress WHERE run = $1", &[run.into()])?;
    row.map_or(Ok(false), |row| row.bool("is_cancelling"))
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

/// The ids that begin with a text of hexadecimal digits, at most `limit`.
pub fn runs_beginning(db: &mut Reader<'_>, prefix: &str, limit: u64) -> Result<Vec<PipelineRunId>> {
    let sql = "SELECT run FROM pipeline_run WHERE run >= $1 AND run < $2 ORDER BY run LIMIT $3";
    // `g` comes after every hexadecimal digit.
    let rows = db.query(sql, &[prefix.into(), format!("{prefix}g").into(), limit.into()])?;
    rows.iter().map(|row| PipelineRunId::parse(&row.text("run")?)).collect()
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
