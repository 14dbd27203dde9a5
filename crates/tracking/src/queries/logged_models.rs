//! The statements about logged models.

use std::collections::HashMap;

use lw_core::{Result, RunId, Scalar};
use lw_store::{Insert, Reader, Row, Tx};

use super::{in_order_of, visit_for_each};
use crate::logged_model::Measurement;
use crate::{LoggedModel, LoggedModelId, MetricPoint, ModelMetric};

type Texts = HashMap<LoggedModelId, Vec<(String, String)>>;

static INSERT_PARAM: Insert<3> =
    Insert::new("INSERT INTO logged_model_param (model, param_key, param_value)", "ON CONFLICT (model, param_key) DO NOTHING");

static PUT_TAG: Insert<3> = Insert::new(
    "INSERT INTO logged_model_tag (model, tag_key, tag_value)",
    "ON CONFLICT (model, tag_key) DO UPDATE SET tag_value = EXCLUDED.tag_value",
);

static INSERT_METRIC: Insert<9> = Insert::new(
    "INSERT INTO logged_model_metric \
     (model, metric_key, logged_at, step, metric_value, is_nan, run, dataset_name, dataset_digest)",
    "ON CONFLICT (model, metric_key, logged_at, step, run) DO NOTHING",
);

pub(crate) fn logged_model(reader: &mut Reader<'_>, id: &LoggedModelId) -> Result<Option<LoggedModel>> {
    let row = reader.query_opt("SELECT * FROM logged_model WHERE id = $1", &[id.as_str().into()])?;
    row.as_ref().map(LoggedModel::of).transpose()
}

/// The models with these ids, in the order of the ids.
pub(crate) fn logged_models_by_ids(reader: &mut Reader<'_>, ids: &[LoggedModelId]) -> Result<Vec<LoggedModel>> {
    let read = |row: &Row| LoggedModel::of(row).map(|model| (model.id.clone(), model));
    in_order_of(reader, "SELECT * FROM logged_model WHERE id IN", ids, |id| id.as_str().into(), read)
}

/// Inserts the parameters that are not there, and returns how many they were.
pub(crate) fn insert_model_params<'a>(
    tx: &mut Tx<'_>,
    id: &LoggedModelId,
    params: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<u64> {
    let id = id.as_str().to_owned();
    tx.insert(&INSERT_PARAM, params.map(|(key, value)| [id.as_str().into(), key.into(), value.into()]))
}

/// Sets tags. Each key stands once.
pub(crate) fn put_model_tags<'a>(
    tx: &mut Tx<'_>,
    id: &LoggedModelId,
    tags: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<()> {
    tx.insert(&PUT_TAG, tags.map(|(key, value)| [id.as_str().into(), key.into(), value.into()]))?;
    Ok(())
}

/// Returns whether there was one.
pub(crate) fn remove_model_tag(tx: &mut Tx<'_>, id: &LoggedModelId, key: &str) -> Result<bool> {
    let sql = "DELETE FROM logged_model_tag WHERE model = $1 AND tag_key = $2";
    Ok(tx.execute(sql, &[id.as_str().into(), key.into()])? > 0)
}

/// Points that are there already stay alone.
pub(crate) fn insert_model_metrics(tx: &mut Tx<'_>, run: &RunId, metrics: &[ModelMetric]) -> Result<()> {
    let rows = metrics.iter().map(|metric| {
        let [at, step, value, is_nan] = metric.point.cells();
        let (name, digest) = (metric.dataset_name.as_deref().into(), metric.dataset_digest.as_deref().into());
        let (model, key) = (metric.model.as_str().into(), metric.key.as_str().into());
        [model, key, at, step, value, is_nan, run.as_str().into(), name, digest]
    });
    tx.insert(&INSERT_METRIC, rows)?;
    Ok(())
}

pub(crate) fn model_params_of(reader: &mut Reader<'_>, ids: &[LoggedModelId]) -> Result<Texts> {
    texts_of(reader, "SELECT model, param_key, param_value FROM logged_model_param WHERE model IN", ids)
}

pub(crate) fn model_tags_of(reader: &mut Reader<'_>, ids: &[LoggedModelId]) -> Result<Texts> {
    texts_of(reader, "SELECT model, tag_key, tag_value FROM logged_model_tag WHERE model IN", ids)
}

fn texts_of(reader: &mut Reader<'_>, sql: &str, ids: &[LoggedModelId]) -> Result<Texts> {
    let mut texts = Texts::new();
    visit_for_each(reader, sql, &scalars(ids), |row| {
        let text = (row.text(1)?.to_owned(), row.text(2)?.to_owned());
        texts.entry(LoggedModelId::parse(row.text(0)?)?).or_default().push(text);
        Ok(())
    })?;
    Ok(texts)
}

/// By metric, time, step and run.
pub(crate) fn model_metrics_of(
    reader: &mut Reader<'_>,
    ids: &[LoggedModelId],
) -> Result<HashMap<LoggedModelId, Vec<Measurement>>> {
    let mut metrics: HashMap<LoggedModelId, Vec<Measurement>> = HashMap::new();
    let sql = "SELECT model, metric_key, logged_at, step, metric_value, is_nan, run, dataset_name, dataset_digest \
               FROM logged_model_metric WHERE model IN";
    visit_for_each(reader, sql, &scalars(ids), |row| {
        let model = LoggedModelId::parse(row.text(0)?)?;
        let metric = ModelMetric {
            model: model.clone(),
            key: row.text(1)?.to_owned(),
            point: MetricPoint::of(row, 2)?,
            dataset_name: row.opt_text(7)?.map(str::to_owned),
            dataset_digest: row.opt_text(8)?.map(str::to_owned),
        };
        metrics.entry(model).or_default().push(Measurement { run: RunId::parse(row.text(6)?)?, metric });
        Ok(())
    })?;
    for measurements in metrics.values_mut() {
        let key = |m: &Measurement| (m.metric.key.clone(), m.metric.point.at, m.metric.point.step, m.run.clone());
        measurements.sort_by_cached_key(key);
    }
    Ok(metrics)
}

fn scalars(ids: &[LoggedModelId]) -> Vec<Scalar> {
    ids.iter().map(|id| id.as_str().into()).collect()
}
