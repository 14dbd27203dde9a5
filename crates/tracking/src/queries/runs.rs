//! The statements about runs.

use std::collections::HashMap;

use lw_core::{Result, RunId, Scalar, Timestamp};
use lw_store::{Reader, Row};

use super::{ByRun, in_order_of, visit_for_each};
use crate::run::Target;
use crate::{ExperimentId, Lifecycle, MetricPoint, Run};

/// A number under which nothing is logged, nor left of a run that is being purged.
pub(crate) fn next_run_number(reader: &mut Reader<'_>) -> Result<u64> {
    const SQL: &str = "SELECT COALESCE(MAX(number), 0) + 1 AS number \
         FROM (SELECT MAX(number) AS number FROM run UNION ALL SELECT MAX(number) FROM purged_run) AS taken";
    let row = reader.query_opt(SQL, &[])?;
    row.map_or(Ok(1), |row| row.count("number"))
}

pub(crate) fn run(reader: &mut Reader<'_>, id: &RunId) -> Result<Option<Run>> {
    let row = reader.query_opt("SELECT * FROM run WHERE id = $1", &[id.into()])?;
    row.as_ref().map(Run::of).transpose()
}

pub(crate) fn number_of(reader: &mut Reader<'_>, id: &RunId) -> Result<Option<u64>> {
    let row = reader.query_opt("SELECT number FROM run WHERE id = $1", &[id.into()])?;
    row.map(|row| row.count("number")).transpose()
}

/// What logging needs to know of a run.
pub(crate) fn target(reader: &mut Reader<'_>, id: &RunId) -> Result<Option<Target>> {
    let mut target = None;
    reader.visit("SELECT number, name, lifecycle, COALESCE(seal, '') FROM run WHERE id = $1", &[id.into()], |row| {
        let (number, name) = (row.int(0)?.cast_unsigned(), row.text(1)?.to_owned());
        target = Some(Target { number, name, lifecycle: Lifecycle::of(row.text(2)?), is_sealed: !row.text(3)?.is_empty() });
        Ok(())
    })?;
    Ok(target)
}

/// Runs that were sealed when they ended, by number.
pub(crate) fn sealed_runs(reader: &mut Reader<'_>, after: u64, limit: u64) -> Result<Vec<Run>> {
    let sql = "SELECT * FROM run WHERE number > $1 AND seal IS NOT NULL ORDER BY number LIMIT $2";
    reader.query(sql, &[after.into(), limit.into()])?.iter().map(Run::of).collect()
}

/// Newest first; ties by id.
pub(crate) fn runs(
    reader: &mut Reader<'_>,
    experiments: &[ExperimentId],
    lifecycle: Option<Lifecycle>,
    before: Option<&(Timestamp, RunId)>,
    limit: u64,
) -> Result<Vec<Run>> {
    if experiments.is_empty() {
        return Ok(Vec::new());
    }
    let mut parameters: Vec<Scalar> = experiments.iter().map(|id| id.number().into()).collect();
    let mut placeholder = |value: Scalar| {
        parameters.push(value);
        format!("${}", parameters.len())
    };
    let mut conditions = Vec::new();
    if let Some(lifecycle) = lifecycle {
        conditions.push(format!("lifecycle = {}", placeholder(lifecycle.name().into())));
    }
    if let Some((started_at, id)) = before {
        let (at, id) = (placeholder((*started_at).into()), placeholder(id.into()));
        conditions.push(format!("(started_at < {at} OR (started_at = {at} AND id > {id}))"));
    }
    let limit = placeholder(limit.into());
    let ids: Vec<String> = (1..=experiments.len()).map(|number| format!("${number}")).collect();
    conditions.push(format!("experiment IN ({})", ids.join(", ")));
    let sql = format!("SELECT * FROM run WHERE {} ORDER BY started_at DESC, id LIMIT {limit}", conditions.join(" AND "));
    reader.query(&sql, &parameters)?.iter().map(Run::of).collect()
}

/// The runs with these ids, in the order of the ids.
pub(crate) fn runs_by_ids(reader: &mut Reader<'_>, ids: &[RunId]) -> Result<Vec<Run>> {
    let read = |row: &Row| Run::of(row).map(|run| (run.id.clone(), run));
    in_order_of(reader, "SELECT * FROM run WHERE id IN", ids, |id| id.into(), read)
}

/// The latest point of each metric of some runs, by the number of the run; of some metrics or of all.
pub(crate) fn latest_points_of(
    reader: &mut Reader<'_>,
    runs: &[u64],
    keys: Option<&[String]>,
) -> Result<HashMap<u64, Vec<(String, MetricPoint)>>> {
    let mut points = ByRun::new();
    let mut add = |row: &lw_store::RowView<'_>| {
        points.add(row.int(0)?.cast_unsigned(), (row.text(1)?.to_owned(), MetricPoint::of(row, 2)?));
        Ok(())
    };
    let columns = "SELECT run, metric_key, logged_at, step, metric_value, is_nan FROM run_latest_metric";
    let runs: Vec<Scalar> = runs.iter().map(|run| Scalar::from(*run)).collect();
    match keys {
        None => visit_for_each(reader, &format!("{columns} WHERE run IN"), &runs, add)?,
        Some(keys) => {
            let sql = format!("{columns} WHERE run = $1 AND metric_key = $2");
            for run in &runs {
                for key in keys {
                    reader.visit(&sql, &[run.clone(), key.into()], &mut add)?;
                }
            }
        }
    }
    Ok(points.done())
}
