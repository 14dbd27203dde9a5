//! The SQL of this crate, a function a statement.

use lw_core::{Digest, Result};
use lw_store::{Reader, Row};

use crate::state::Applied;

pub struct ProjectRow {
    pub applied: Applied,
    pub bundle: Digest,
}

/// The newest applied project.
pub fn newest_project(reader: &mut Reader<'_>) -> Result<Option<ProjectRow>> {
    let sql = format!("SELECT {COLUMNS} FROM project_version ORDER BY version DESC LIMIT 1");
    reader.query_opt(&sql, &[])?.map(|row| project(&row)).transpose()
}

/// One applied project.
pub fn project_version(reader: &mut Reader<'_>, version: u64) -> Result<Option<ProjectRow>> {
    let sql = format!("SELECT {COLUMNS} FROM project_version WHERE version = $1");
    reader.query_opt(&sql, &[version.into()])?.map(|row| project(&row)).transpose()
}

const COLUMNS: &str = "version, digest, bundle, commit_id, applied_at, applied_by";

fn project(row: &Row) -> Result<ProjectRow> {
    let applied = Applied {
        version: row.count("version")?,
        digest: row.digest("digest")?,
        commit: row.opt_text("commit_id")?,
        applied_at: row.time("applied_at")?,
        applied_by: row.text("applied_by")?,
    };
    Ok(ProjectRow { applied, bundle: row.digest("bundle")? })
}
