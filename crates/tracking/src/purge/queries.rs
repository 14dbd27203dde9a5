//! The statements of a purge.

use lw_core::{Result, RunId, Scalar, Subject, Timestamp};
use lw_store::{Reader, Tx};

use crate::{ExperimentId, LoggedModelId};

/// What runs log under their number, each with the rest of its key, and under their id, beside artifacts.
const LOGGED_BY_NUMBER: &[(&str, &[&str])] = &[
    ("run_metric", &["metric_key", "logged_at", "step", "metric_value", "is_nan"]),
    ("run_latest_metric", &["metric_key"]),
    ("run_param", &["param_key"]),
    ("run_tag", &["tag_key"]),
];
const LOGGED_BY_ID: &[&str] = &["run_dataset", "run_model_input", "run_model_output"];
const LOGGED_OF_MODEL: &[&str] = &["logged_model_param", "logged_model_tag", "logged_model_metric"];

/// Models that were deleted themselves, or with their experiment.
const IS_DELETED_MODEL: &str = "((lifecycle = 'deleted' AND updated_at < $1) \
     OR experiment IN (SELECT id FROM experiment WHERE lifecycle = 'deleted' AND updated_at < $1))";

/// By id, after the given one.
pub(super) fn deleted_runs(reader: &mut Reader<'_>, before: Timestamp, after: &str, limit: u64) -> Result<Vec<RunId>> {
    let rows = reader.query(
        "SELECT id FROM run WHERE lifecycle = 'deleted' AND deleted_at < $1 AND id > $2 ORDER BY id LIMIT $3",
        &[before.into(), after.into(), limit.into()],
    )?;
    rows.iter().map(|row| RunId::parse(&row.text("id")?)).collect()
}

/// By id, after the given one.
pub(super) fn deleted_models(reader: &mut Reader<'_>, before: Timestamp, after: &str, limit: u64) -> Result<Vec<LoggedModelId>> {
    let sql = format!("SELECT id FROM logged_model WHERE {IS_DELETED_MODEL} AND id > $2 ORDER BY id LIMIT $3");
    let rows = reader.query(&sql, &[before.into(), after.into(), limit.into()])?;
    rows.iter().map(|row| LoggedModelId::parse(&row.text("id")?)).collect()
}

pub(super) fn is_deleted_model(reader: &mut Reader<'_>, id: &LoggedModelId, before: Timestamp) -> Result<bool> {
    let sql = format!("SELECT id FROM logged_model WHERE {IS_DELETED_MODEL} AND id = $2");
    Ok(reader.query_opt(&sql, &[before.into(), id.as_str().into()])?.is_some())
}

/// Whether the lineage of something that outlives runs and their models names it, such as a version of a registered model.
pub(super) fn is_named(reader: &mut Reader<'_>, subject: &Subject) -> Result<bool> {
    let sql = "SELECT l.seq FROM ledger_link l JOIN ledger e ON e.seq = l.seq \
               WHERE l.kind = $1 AND l.name = $2 AND l.part = 'input' \
               AND e.subject_kind NOT IN ('run', 'logged_model', 'experiment') LIMIT 1";
    Ok(reader.query_opt(sql, &[subject.kind.name().into(), (&subject.name).into()])?.is_some())
}

/// Removes what names the run by its id, and remembers that what it logged under its number is still to go.
pub(super) fn begin_to_remove(tx: &mut Tx<'_>, id: &RunId, number: u64) -> Result<()> {
    for table in LOGGED_BY_ID {
        tx.execute(&format!("DELETE FROM {table} WHERE run = $1"), &[id.into()])?;
    }
    tx.execute("INSERT INTO purged_run (number) VALUES ($1)", &[number.into()]).map(drop)
}

/// A run of which logged rows are left.
pub(super) fn half_removed_run(reader: &mut Reader<'_>) -> Result<Option<u64>> {
    let row = reader.query_opt("SELECT MIN(number) AS number FROM purged_run", &[])?;
    row.map_or(Ok(None), |row| row.opt_count("number"))
}

/// Removes the next rows of a purged run, at most so many, and returns whether some are left.
pub(super) fn remove_piece(tx: &mut Tx<'_>, number: u64, n_rows: u64) -> Result<bool> {
    let mut left = n_rows;
    for (table, key) in LOGGED_BY_NUMBER {
        let columns = key.join(", ");
        let end = format!("SELECT {columns} FROM {table} WHERE run = $1 ORDER BY {columns} LIMIT 1 OFFSET $2");
        let Some(end) = tx.query_opt(&end, &[number.into(), left.into()])? else {
            let n_removed = tx.execute(&format!("DELETE FROM {table} WHERE run = $1"), &[number.into()])?;
            left = left.saturating_sub(n_removed);
            continue;
        };
        let places: Vec<String> = (2..key.len() + 2).map(|number| format!("${number}")).collect();
        let mut parameters = vec![Scalar::from(number)];
        for column in *key {
            parameters.push(end.get(column)?.clone());
        }
        tx.execute(&format!("DELETE FROM {table} WHERE run = $1 AND ({columns}) < ({})", places.join(", ")), &parameters)?;
        return Ok(true);
    }
    tx.execute("DELETE FROM purged_run WHERE number = $1", &[number.into()])?;
    Ok(false)
}

pub(super) fn remove_logged_of_model(tx: &mut Tx<'_>, id: &LoggedModelId) -> Result<()> {
    for table in LOGGED_OF_MODEL {
        tx.execute(&format!("DELETE FROM {table} WHERE model = $1"), &[id.as_str().into()])?;
    }
    Ok(())
}

pub(super) fn deleted_experiments(reader: &mut Reader<'_>, before: Timestamp) -> Result<Vec<ExperimentId>> {
    let sql = "SELECT id FROM experiment WHERE lifecycle = 'deleted' AND updated_at < $1 ORDER BY id";
    reader.query(sql, &[before.into()])?.iter().map(|row| Ok(ExperimentId::new(row.count("id")?))).collect()
}

pub(super) fn runs_of(reader: &mut Reader<'_>, experiment: ExperimentId, limit: u64) -> Result<Vec<RunId>> {
    let sql = "SELECT id FROM run WHERE experiment = $1 LIMIT $2";
    let rows = reader.query(sql, &[experiment.number().into(), limit.into()])?;
    rows.iter().map(|row| RunId::parse(&row.text("id")?)).collect()
}

pub(super) fn models_of(reader: &mut Reader<'_>, experiment: ExperimentId, limit: u64) -> Result<Vec<LoggedModelId>> {
    let sql = "SELECT id FROM logged_model WHERE experiment = $1 LIMIT $2";
    let rows = reader.query(sql, &[experiment.number().into(), limit.into()])?;
    rows.iter().map(|row| LoggedModelId::parse(&row.text("id")?)).collect()
}

pub(super) fn remove_experiment_tags(tx: &mut Tx<'_>, experiment: ExperimentId) -> Result<()> {
    tx.execute("DELETE FROM experiment_tag WHERE experiment = $1", &[experiment.number().into()]).map(drop)
}
