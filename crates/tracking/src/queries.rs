//! The statements of tracking, one function each.

use std::collections::{BTreeMap, HashMap};

use lw_core::{Digest, Result, RunId, Scalar, Timestamp, canonical_json};
use lw_store::{Reader, Row, Tx};

use crate::{DatasetInput, Experiment, ExperimentId, Lifecycle, MetricPoint, Run, RunArtifact};

pub(crate) fn next_experiment(reader: &mut Reader<'_>) -> Result<u64> {
    let row = reader.query_opt("SELECT COALESCE(MAX(id), 0) + 1 AS id FROM experiment", &[])?;
    row.map_or(Ok(1), |row| row.count("id"))
}

pub(crate) fn experiment(reader: &mut Reader<'_>, id: ExperimentId) -> Result<Option<Experiment>> {
    let row = reader.query_opt("SELECT * FROM experiment WHERE id = $1", &[id.number().into()])?;
    row.map(|row| with_tags(reader, &row)).transpose()
}

pub(crate) fn experiment_by_name(reader: &mut Reader<'_>, name: &str) -> Result<Option<Experiment>> {
    let row = reader.query_opt("SELECT * FROM experiment WHERE name = $1", &[name.into()])?;
    row.map(|row| with_tags(reader, &row)).transpose()
}

pub(crate) fn experiments(
    reader: &mut Reader<'_>,
    lifecycle: Option<Lifecycle>,
    after: Option<ExperimentId>,
    limit: u64,
) -> Result<Vec<Experiment>> {
    let after = after.map_or(0, ExperimentId::number);
    let rows = match lifecycle {
        Some(lifecycle) => reader.query(
            "SELECT * FROM experiment WHERE id > $1 AND lifecycle = $2 ORDER BY id LIMIT $3",
            &[after.into(), lifecycle.name().into(), limit.into()],
        )?,
        None => reader.query("SELECT * FROM experiment WHERE id > $1 ORDER BY id LIMIT $2", &[after.into(), limit.into()])?,
    };
    rows.iter().map(|row| with_tags(reader, row)).collect()
}

fn with_tags(reader: &mut Reader<'_>, row: &Row) -> Result<Experiment> {
    let sql = "SELECT tag_key AS key, tag_value AS value FROM experiment_tag WHERE experiment = $1";
    let tags = reader.query(sql, &[row.int("id")?.into()])?;
    Experiment::of(row, text_pairs(&tags)?)
}

pub(crate) fn put_experiment_tag(tx: &mut Tx<'_>, id: ExperimentId, key: &str, value: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO experiment_tag (experiment, tag_key, tag_value) VALUES ($1, $2, $3) \
         ON CONFLICT (experiment, tag_key) DO UPDATE SET tag_value = EXCLUDED.tag_value",
        &[id.number().into(), key.into(), value.into()],
    )?;
    Ok(())
}

pub(crate) fn run(reader: &mut Reader<'_>, id: &RunId) -> Result<Option<Run>> {
    let row = reader.query_opt("SELECT * FROM run WHERE id = $1", &[id.into()])?;
    row.as_ref().map(Run::of).transpose()
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

/// Inserts the parameters that are not there, and says whether all were new.
pub(crate) fn insert_params(tx: &mut Tx<'_>, run: &RunId, params: &[(String, String)]) -> Result<bool> {
    let rows: Vec<Vec<Scalar>> = params.iter().map(|(key, value)| vec![run.into(), key.into(), value.into()]).collect();
    let n_new = tx.insert_many(
        "INSERT INTO run_param (run, param_key, param_value) VALUES",
        &rows,
        "ON CONFLICT (run, param_key) DO NOTHING",
    )?;
    Ok(n_new == params.len() as u64)
}

pub(crate) fn params_of(reader: &mut Reader<'_>, runs: &[RunId]) -> Result<ByRun<BTreeMap<String, String>>> {
    let sql = "SELECT run, param_key AS key, param_value AS value FROM run_param WHERE run IN";
    of_runs(reader, sql, runs, |params: &mut BTreeMap<_, _>, row| {
        params.insert(row.text("key")?, row.text("value")?);
        Ok(())
    })
}

/// Points that are there already stay alone.
pub(crate) fn insert_points(tx: &mut Tx<'_>, run: &RunId, points: &[(String, MetricPoint)]) -> Result<()> {
    let rows: Vec<Vec<Scalar>> = points.iter().map(|(key, point)| point_row(run, key, point)).collect();
    tx.insert_many(
        "INSERT INTO run_metric (run, metric_key, logged_at, step, metric_value, is_nan) VALUES",
        &rows,
        "ON CONFLICT (run, metric_key, logged_at, step, metric_value, is_nan) DO NOTHING",
    )?;
    Ok(())
}

/// Makes points the latest of their metrics, unless a later one is there: by step, then time, then value, NaN below every number
/// ([`MetricPoint::is_after`]). Each metric stands once.
pub(crate) fn put_latest<'a>(tx: &mut Tx<'_>, run: &RunId, points: impl Iterator<Item = (&'a str, MetricPoint)>) -> Result<()> {
    let rows: Vec<Vec<Scalar>> = points.map(|(key, point)| point_row(run, key, &point)).collect();
    tx.insert_many(
        "INSERT INTO run_latest_metric (run, metric_key, logged_at, step, metric_value, is_nan) VALUES",
        &rows,
        "ON CONFLICT (run, metric_key) DO UPDATE SET logged_at = EXCLUDED.logged_at, step = EXCLUDED.step, \
         metric_value = EXCLUDED.metric_value, is_nan = EXCLUDED.is_nan \
         WHERE (EXCLUDED.step, EXCLUDED.logged_at, 1 - EXCLUDED.is_nan, EXCLUDED.metric_value) > \
         (run_latest_metric.step, run_latest_metric.logged_at, 1 - run_latest_metric.is_nan, run_latest_metric.metric_value)",
    )?;
    Ok(())
}

fn point_row(run: &RunId, key: &str, point: &MetricPoint) -> Vec<Scalar> {
    let (value, is_nan) = stored(point);
    vec![run.into(), key.into(), point.at.into(), point.step.into(), value.into(), is_nan.into()]
}

pub(crate) fn latest_points_of(reader: &mut Reader<'_>, runs: &[RunId]) -> Result<ByRun<BTreeMap<String, MetricPoint>>> {
    of_runs(reader, "SELECT * FROM run_latest_metric WHERE run IN", runs, |points: &mut BTreeMap<_, _>, row| {
        points.insert(row.text("metric_key")?, point(row)?);
        Ok(())
    })
}

/// By time, step and value.
pub(crate) fn points(reader: &mut Reader<'_>, run: &RunId, key: &str, offset: u64, limit: u64) -> Result<Vec<MetricPoint>> {
    let rows = reader.query(
        "SELECT * FROM run_metric WHERE run = $1 AND metric_key = $2 \
         ORDER BY logged_at, step, metric_value, is_nan LIMIT $3 OFFSET $4",
        &[run.into(), key.into(), limit.into(), offset.into()],
    )?;
    rows.iter().map(point).collect()
}

/// One digest over all points, and how many they are. Keys are ordered here, because databases order texts by their locale.
pub(crate) fn digest_points(reader: &mut Reader<'_>, run: &RunId) -> Result<(Digest, u64)> {
    const PAGE: u64 = 10_000;
    let keys = reader.query("SELECT DISTINCT metric_key FROM run_metric WHERE run = $1", &[run.into()])?;
    let mut keys = keys.iter().map(|row| row.text("metric_key")).collect::<Result<Vec<_>>>()?;
    keys.sort_unstable();
    let (mut digests, mut n_points) = (BTreeMap::new(), 0);
    for key in keys {
        let mut pages = Vec::new();
        loop {
            let page = points(reader, run, &key, pages.len() as u64 * PAGE, PAGE)?;
            let n_rows = page.len() as u64;
            n_points += n_rows;
            pages.push(Digest::of(&point_bytes(&page)));
            if n_rows < PAGE {
                break;
            }
        }
        digests.insert(key, pages);
    }
    Ok((Digest::of(canonical_json(&digests).as_bytes()), n_points))
}

/// 24 bytes a point: time, step and the bits of the value, each little-endian.
fn point_bytes(points: &[MetricPoint]) -> Vec<u8> {
    let bytes = |point: &MetricPoint| {
        let value = if point.value.is_nan() { f64::NAN } else { point.value };
        [point.at.micros().to_le_bytes(), point.step.to_le_bytes(), value.to_le_bytes()].concat()
    };
    points.iter().flat_map(bytes).collect()
}

fn stored(point: &MetricPoint) -> (f64, bool) {
    if point.value.is_nan() { (0.0, true) } else { (point.value, false) }
}

fn point(row: &Row) -> Result<MetricPoint> {
    let value = if row.bool("is_nan")? { f64::NAN } else { row.float("metric_value")? };
    Ok(MetricPoint { value, at: row.time("logged_at")?, step: row.int("step")? })
}

/// Sets tags. Each key stands once.
pub(crate) fn put_tags<'a>(tx: &mut Tx<'_>, run: &RunId, tags: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let rows: Vec<Vec<Scalar>> = tags.map(|(key, value)| vec![run.into(), key.into(), value.into()]).collect();
    tx.insert_many(
        "INSERT INTO run_tag (run, tag_key, tag_value) VALUES",
        &rows,
        "ON CONFLICT (run, tag_key) DO UPDATE SET tag_value = EXCLUDED.tag_value",
    )?;
    Ok(())
}

pub(crate) fn remove_tag(tx: &mut Tx<'_>, run: &RunId, key: &str) -> Result<()> {
    tx.execute("DELETE FROM run_tag WHERE run = $1 AND tag_key = $2", &[run.into(), key.into()])?;
    Ok(())
}

pub(crate) fn tags_of(reader: &mut Reader<'_>, runs: &[RunId]) -> Result<ByRun<BTreeMap<String, String>>> {
    let sql = "SELECT run, tag_key AS key, tag_value AS value FROM run_tag WHERE run IN";
    of_runs(reader, sql, runs, |tags: &mut BTreeMap<_, _>, row| {
        tags.insert(row.text("key")?, row.text("value")?);
        Ok(())
    })
}

pub(crate) fn put_dataset(tx: &mut Tx<'_>, run: &RunId, dataset: &DatasetInput) -> Result<()> {
    tx.execute(
        "INSERT INTO run_dataset (run, name, digest, context, source_type, source, dataset_schema, profile) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (run, name, digest, context) DO NOTHING",
        &[
            run.into(),
            (&dataset.name).into(),
            (&dataset.digest).into(),
            (&dataset.context).into(),
            (&dataset.source_type).into(),
            (&dataset.source).into(),
            dataset.schema.as_ref().into(),
            dataset.profile.as_ref().into(),
        ],
    )?;
    Ok(())
}

/// By name, digest and context.
pub(crate) fn datasets_of(reader: &mut Reader<'_>, runs: &[RunId]) -> Result<ByRun<Vec<DatasetInput>>> {
    let mut datasets = of_runs(reader, "SELECT * FROM run_dataset WHERE run IN", runs, |datasets: &mut Vec<_>, row| {
        datasets.push(DatasetInput {
            name: row.text("name")?,
            digest: row.text("digest")?,
            context: row.text("context")?,
            source_type: row.text("source_type")?,
            source: row.text("source")?,
            schema: row.opt_text("dataset_schema")?,
            profile: row.opt_text("profile")?,
        });
        Ok(())
    })?;
    for datasets in datasets.values_mut() {
        datasets.sort_by(|a, b| (&a.name, &a.digest, &a.context).cmp(&(&b.name, &b.digest, &b.context)));
    }
    Ok(datasets)
}

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

fn text_pairs(rows: &[Row]) -> Result<BTreeMap<String, String>> {
    rows.iter().map(|row| Ok((row.text("key")?, row.text("value")?))).collect()
}

pub(crate) type ByRun<T> = HashMap<RunId, T>;

/// The rows of many runs, gathered by run. `sql` ends where the list of runs follows.
fn of_runs<T: Default>(
    reader: &mut Reader<'_>,
    sql: &str,
    runs: &[RunId],
    mut add: impl FnMut(&mut T, &Row) -> Result<()>,
) -> Result<ByRun<T>> {
    // Lists come in two lengths, so that two statements are prepared and not one for each number of runs.
    let list_length = if runs.len() == 1 { 1 } else { 100 };
    let placeholders: Vec<String> = (1..=list_length).map(|number| format!("${number}")).collect();
    let sql = format!("{sql} ({})", placeholders.join(", "));
    let mut gathered = HashMap::new();
    for list in runs.chunks(list_length) {
        let mut parameters: Vec<Scalar> = list.iter().map(Scalar::from).collect();
        parameters.resize(list_length, Scalar::Null);
        for row in reader.query(&sql, &parameters)? {
            let run = RunId::parse(&row.text("run")?)?;
            add(gathered.entry(run).or_default(), &row)?;
        }
    }
    Ok(gathered)
}
