//! The statements about experiments.

use std::collections::{BTreeMap, HashMap};

use lw_core::{Result, Scalar};
use lw_store::{Reader, Row, Tx};

use super::{in_order_of, visit_for_each};
use crate::{Experiment, ExperimentId, Lifecycle};

/// A number that no experiment has had, not even one that was purged: the ledger knows them all.
pub(crate) fn next_experiment(reader: &mut Reader<'_>) -> Result<u64> {
    let sql = "SELECT COALESCE(MAX(CAST(subject_name AS BIGINT)), 0) + 1 AS id FROM ledger WHERE subject_kind = 'experiment'";
    let row = reader.query_opt(sql, &[])?;
    row.map_or(Ok(1), |row| row.count("id"))
}

pub(crate) fn experiment(reader: &mut Reader<'_>, id: ExperimentId) -> Result<Option<Experiment>> {
    let rows = reader.query("SELECT * FROM experiment WHERE id = $1", &[id.number().into()])?;
    Ok(with_tags(reader, &rows)?.pop())
}

/// The experiment without its tags, which whoever starts a run in it has no use for.
pub(crate) fn bare_experiment(reader: &mut Reader<'_>, id: ExperimentId) -> Result<Option<Experiment>> {
    let row = reader.query_opt("SELECT * FROM experiment WHERE id = $1", &[id.number().into()])?;
    row.map(|row| Experiment::of(&row, BTreeMap::new())).transpose()
}

pub(crate) fn experiment_by_name(reader: &mut Reader<'_>, name: &str) -> Result<Option<Experiment>> {
    let rows = reader.query("SELECT * FROM experiment WHERE name = $1", &[name.into()])?;
    Ok(with_tags(reader, &rows)?.pop())
}

pub(crate) fn experiments(
    reader: &mut Reader<'_>,
    lifecycle: Option<Lifecycle>,
    after: Option<ExperimentId>,
    limit: u64,
) -> Result<Vec<Experiment>> {
    let after = after.map_or(-1, |id| id.number().cast_signed());
    let rows = match lifecycle {
        Some(lifecycle) => reader.query(
            "SELECT * FROM experiment WHERE id > $1 AND lifecycle = $2 ORDER BY id LIMIT $3",
            &[after.into(), lifecycle.name().into(), limit.into()],
        )?,
        None => reader.query("SELECT * FROM experiment WHERE id > $1 ORDER BY id LIMIT $2", &[after.into(), limit.into()])?,
    };
    with_tags(reader, &rows)
}

/// The experiments with these ids, in the order of the ids.
pub(crate) fn experiments_by_ids(reader: &mut Reader<'_>, ids: &[ExperimentId]) -> Result<Vec<Experiment>> {
    let sql = "SELECT * FROM experiment WHERE id IN";
    let read = |row: &Row| Ok((ExperimentId::new(row.count("id")?), row.clone()));
    let rows = in_order_of(reader, sql, ids, |id| id.number().into(), read)?;
    with_tags(reader, &rows)
}

fn with_tags(reader: &mut Reader<'_>, rows: &[Row]) -> Result<Vec<Experiment>> {
    let ids = rows.iter().map(|row| row.int("id").map(Scalar::from)).collect::<Result<Vec<_>>>()?;
    let mut tags: HashMap<i64, BTreeMap<String, String>> = HashMap::new();
    let sql = "SELECT experiment, tag_key, tag_value FROM experiment_tag WHERE experiment IN";
    visit_for_each(reader, sql, &ids, |row| {
        tags.entry(row.int(0)?).or_default().insert(row.text(1)?.to_owned(), row.text(2)?.to_owned());
        Ok(())
    })?;
    rows.iter().map(|row| Experiment::of(row, tags.remove(&row.int("id")?).unwrap_or_default())).collect()
}

pub(crate) fn put_experiment_tag(tx: &mut Tx<'_>, id: ExperimentId, key: &str, value: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO experiment_tag (experiment, tag_key, tag_value) VALUES ($1, $2, $3) \
         ON CONFLICT (experiment, tag_key) DO UPDATE SET tag_value = EXCLUDED.tag_value",
        &[id.number().into(), key.into(), value.into()],
    )?;
    Ok(())
}

/// Returns whether there was one.
pub(crate) fn remove_experiment_tag(tx: &mut Tx<'_>, id: ExperimentId, key: &str) -> Result<bool> {
    let sql = "DELETE FROM experiment_tag WHERE experiment = $1 AND tag_key = $2";
    Ok(tx.execute(sql, &[id.number().into(), key.into()])? > 0)
}
