//! Who may run which step, and for how long.

use lw_core::{Actor, Digest, Result, Timestamp};
use lw_store::{Reader, Row, Tx};

use crate::run::PipelineRunId;

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

fn leased(row: &Row) -> Result<Leased> {
    let run = PipelineRunId::parse(&row.text("run")?)?;
    Ok(Leased { run, key: row.text("step")?, fence: row.int("fence")?, digest: row.digest("digest")? })
}
