//! The statements about artifacts of runs.

use lw_core::{Result, RunId};
use lw_store::{Reader, Row, Tx};

use crate::RunArtifact;

pub(crate) fn put_artifact(tx: &mut Tx<'_>, run: &RunId, artifact: &RunArtifact) -> Result<()> {
    tx.execute(
        "INSERT INTO run_artifact (run, path, digest, size_bytes, logged_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (run, path) DO UPDATE SET digest = EXCLUDED.digest, size_bytes = EXCLUDED.size_bytes, logged_at = EXCLUDED.logged_at",
        &[run.into(), (&artifact.path).into(), artifact.digest.into(), artifact.size_bytes.into(), artifact.logged_at.into()],
    )?;
    Ok(())
}

/// Those below a folder, by path; all for an empty folder.
pub(crate) fn artifacts(reader: &mut Reader<'_>, run: &RunId, folder: &str) -> Result<Vec<RunArtifact>> {
    let rows = reader.query("SELECT * FROM run_artifact WHERE run = $1", &[run.into()])?;
    let artifact = |row: &Row| {
        Ok(RunArtifact {
            path: row.text("path")?,
            digest: row.digest("digest")?,
            size_bytes: row.count("size_bytes")?,
            logged_at: row.time("logged_at")?,
        })
    };
    let mut artifacts = rows.iter().map(artifact).collect::<Result<Vec<_>>>()?;
    let is_below = |path: &str| folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    artifacts.retain(|artifact| is_below(&artifact.path));
    artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(artifacts)
}
