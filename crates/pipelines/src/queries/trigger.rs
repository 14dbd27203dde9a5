//! Definitions, and what starts runs of them.

use lw_core::{Digest, Error, Name, Result, Timestamp};
use lw_store::{Reader, Row, Tx};

use crate::Deployed;
use crate::run::PipelineRunId;

pub fn definition(db: &mut Reader<'_>, digest: &Digest) -> Result<Option<String>> {
    let row = db.query_opt("SELECT definition FROM pipeline_version WHERE digest = $1", &[digest.into()])?;
    row.map(|row| row.text("definition")).transpose()
}

pub fn deployed(db: &mut Reader<'_>, pipeline: &Name) -> Result<Option<Digest>> {
    let row = db.query_opt("SELECT digest FROM pipeline WHERE pipeline = $1", &[pipeline.into()])?;
    row.map(|row| row.digest("digest")).transpose()
}

/// The deployed pipelines after a name, with the digests of their definitions and when their schedules fire next.
pub fn all_deployed(db: &mut Reader<'_>, after: Option<&Name>, limit: u64) -> Result<Vec<Deployed>> {
    let rows = db.query(
        "SELECT p.pipeline, p.digest, s.next_fire FROM pipeline p LEFT JOIN pipeline_schedule s ON s.pipeline = p.pipeline \
         WHERE p.pipeline > $1 ORDER BY p.pipeline LIMIT $2",
        &[after.map_or("", Name::as_str).into(), limit.into()],
    )?;
    rows.iter().map(read_deployed).collect()
}

pub fn one_deployed(db: &mut Reader<'_>, pipeline: &Name) -> Result<Option<Deployed>> {
    let row = db.query_opt(
        "SELECT p.pipeline, p.digest, s.next_fire FROM pipeline p LEFT JOIN pipeline_schedule s ON s.pipeline = p.pipeline \
         WHERE p.pipeline = $1",
        &[pipeline.into()],
    )?;
    row.as_ref().map(read_deployed).transpose()
}

fn read_deployed(row: &Row) -> Result<Deployed> {
    let (pipeline, digest) = (Name::parse(&row.text("pipeline")?)?, row.digest("digest")?);
    Ok(Deployed { pipeline, digest, next_fire: row.opt_time("next_fire")? })
}

/// The runs of a pipeline that are not over, at most `limit`.
pub fn open_runs(db: &mut Reader<'_>, pipeline: &Name, limit: u64) -> Result<Vec<PipelineRunId>> {
    let sql = "SELECT run FROM pipeline_run WHERE pipeline = $1 AND finished_at IS NULL ORDER BY started_at LIMIT $2";
    let rows = db.query(sql, &[pipeline.into(), limit.into()])?;
    rows.iter().map(|row| PipelineRunId::parse(&row.text("run")?)).collect()
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
