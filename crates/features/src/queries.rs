//! The statements of this stage, one function each.

use lw_core::{Name, Result, Scalar};
use lw_store::{Reader, Row};

pub(crate) fn newest_view(reader: &mut Reader<'_>, name: &Name) -> Result<Option<Row>> {
    reader.query_opt("SELECT * FROM feature_view WHERE name = $1 ORDER BY version DESC LIMIT 1", &[name.into()])
}

pub(crate) fn view_version(reader: &mut Reader<'_>, name: &Name, version: u64) -> Result<Option<Row>> {
    reader.query_opt("SELECT * FROM feature_view WHERE name = $1 AND version = $2", &[name.into(), version.into()])
}

/// The newest version of every view, by name.
pub(crate) fn newest_views(reader: &mut Reader<'_>) -> Result<Vec<Row>> {
    let sql = "SELECT * FROM feature_view v \
               WHERE version = (SELECT max(version) FROM feature_view o WHERE o.name = v.name) ORDER BY name";
    reader.query(sql, &[])
}

pub(crate) fn training_set_by_recipe(reader: &mut Reader<'_>, name: &Name, recipe: &str) -> Result<Option<Row>> {
    reader.query_opt("SELECT * FROM training_set WHERE name = $1 AND recipe = $2", &[name.into(), recipe.into()])
}

pub(crate) fn training_set(reader: &mut Reader<'_>, name: &Name, version: u64) -> Result<Option<Row>> {
    reader.query_opt("SELECT * FROM training_set WHERE name = $1 AND version = $2", &[name.into(), version.into()])
}

/// The newest training sets of a name that are older than a version, newest first.
pub(crate) fn training_sets(reader: &mut Reader<'_>, name: &Name, before: Option<u64>, limit: u64) -> Result<Vec<Row>> {
    let before = before.map_or(Scalar::Int(i64::MAX), Scalar::from);
    let sql = "SELECT * FROM training_set WHERE name = $1 AND version < $2 ORDER BY version DESC LIMIT $3";
    reader.query(sql, &[name.into(), before, limit.into()])
}

pub(crate) fn newest_training_set_version(reader: &mut Reader<'_>, name: &Name) -> Result<u64> {
    let row = reader.query_opt("SELECT max(version) AS version FROM training_set WHERE name = $1", &[name.into()])?;
    Ok(row.map(|row| row.opt_count("version")).transpose()?.flatten().unwrap_or(0))
}
