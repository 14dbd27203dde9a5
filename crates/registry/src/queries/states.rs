//! The statements about what may change of versions.

use lw_core::{Error, ModelName, Result};
use lw_store::Reader;

use crate::Stage;
use crate::state::VersionState;

pub(crate) fn state(reader: &mut Reader<'_>, model: &ModelName, version: u64) -> Result<VersionState> {
    let sql = "SELECT stage, description, updated_at, deleted_at FROM model_version_state WHERE model = $1 AND version = $2";
    let row = reader.query_opt(sql, &[model.into(), version.into()])?;
    VersionState::of(&row.ok_or_else(|| Error::bug(format!("{model}@{version} has no state")))?)
}

/// The versions in a stage, with their states.
pub(crate) fn states_in(reader: &mut Reader<'_>, model: &ModelName, stage: Stage) -> Result<Vec<(u64, VersionState)>> {
    let rows = reader.query(
        "SELECT version, stage, description, updated_at, deleted_at FROM model_version_state \
         WHERE model = $1 AND stage = $2 AND deleted_at IS NULL ORDER BY version",
        &[model.into(), stage.name().into()],
    )?;
    rows.iter().map(|row| Ok((row.count("version")?, VersionState::of(row)?))).collect()
}

/// The number of the newest version of each stage, by the first version that stands in the stage.
pub(crate) fn latest_of_stages(reader: &mut Reader<'_>, model: &ModelName) -> Result<Vec<u64>> {
    let rows = reader.query(
        "SELECT MAX(version) AS version FROM model_version_state WHERE model = $1 AND deleted_at IS NULL \
         GROUP BY stage ORDER BY MIN(version)",
        &[model.into()],
    )?;
    rows.iter().map(|row| row.count("version")).collect()
}
