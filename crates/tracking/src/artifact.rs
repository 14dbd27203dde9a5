//! The artifacts of a run: paths that point to content by its digest.

use lw_core::{Ctx, Digest, Result, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{BAD_ARTIFACT_PATH, Tracking, queries, run};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunArtifact {
    /// Relative, with `/`, like `model/model.onnx`.
    pub path: String,
    pub digest: Digest,
    pub size_bytes: u64,
    pub logged_at: Timestamp,
}

impl Tracking {
    /// Makes content that is in the artifact store an artifact of the run. A path that is there gets the new content.
    pub async fn log_artifact(&self, ctx: &Ctx, run: &RunId, path: &str, digest: Digest, size_bytes: u64) -> Result<()> {
        check_path(path)?;
        let (run, path) = (run.clone(), path.to_owned());
        self.store
            .write(ctx, move |tx| {
                run::target(tx, &run)?;
                let artifact = RunArtifact { path, digest, size_bytes, logged_at: tx.now() };
                queries::put_artifact(tx, &run, &artifact)
            })
            .await
    }

    /// The artifacts of a run below a folder, by path; of the whole run for an empty folder.
    pub async fn artifacts(&self, run: &RunId, folder: &str) -> Result<Vec<RunArtifact>> {
        if !folder.is_empty() {
            check_path(folder)?;
        }
        let (run, folder) = (run.clone(), folder.to_owned());
        self.store
            .read(move |reader| {
                run::found(reader, &run)?;
                queries::artifacts(reader, &run, &folder)
            })
            .await
    }
}

/// A path stays below the run: relative, without `.`, `..`, empty parts, backslashes, drive letters, escapes or control characters.
fn check_path(path: &str) -> Result<()> {
    let parts_ok = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    let chars_ok = !path.contains(['\\', '%', ':']) && !path.chars().any(char::is_control);
    if parts_ok && chars_ok && path.len() <= 1000 {
        return Ok(());
    }
    let shown: String = path.chars().take(80).collect();
    Err(BAD_ARTIFACT_PATH
        .error(format!("invalid path `{}`", shown.escape_debug()))
        .hint("write a relative path with `/`, like `model/model.onnx`"))
}
