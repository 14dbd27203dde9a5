//! Logged models as MLflow's clients read them.

use lw_tracking::{LoggedModelData, LoggedModelStatus, Measurement};
use serde::Serialize;

use crate::document::{Double, Pair, pairs};

pub(super) const STATUSES: [(&str, i64, LoggedModelStatus); 4] = [
    ("LOGGED_MODEL_STATUS_UNSPECIFIED", 0, LoggedModelStatus::Unspecified),
    ("LOGGED_MODEL_PENDING", 1, LoggedModelStatus::Pending),
    ("LOGGED_MODEL_READY", 2, LoggedModelStatus::Ready),
    ("LOGGED_MODEL_UPLOAD_FAILED", 3, LoggedModelStatus::Failed),
];

#[derive(Serialize)]
struct Info<'a> {
    model_id: &'a str,
    experiment_id: String,
    name: &'a str,
    creation_timestamp_ms: i64,
    last_updated_timestamp_ms: i64,
    artifact_uri: &'a str,
    status: &'static str,
    model_type: &'a str,
    source_run_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct Metric<'a> {
    key: &'a str,
    value: Double,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_digest: Option<&'a str>,
    model_id: &'a str,
    run_id: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Metric<'a>>,
}

#[derive(Serialize)]
pub(crate) struct ModelDocument<'a> {
    info: Info<'a>,
    data: Data<'a>,
}

impl<'a> ModelDocument<'a> {
    pub(super) fn of(data: &'a LoggedModelData) -> Self {
        let model = &data.model;
        let status = STATUSES.iter().find(|(.., known)| *known == model.status);
        Self {
            info: Info {
                model_id: model.id.as_str(),
                experiment_id: model.experiment.to_string(),
                name: &model.name,
                creation_timestamp_ms: model.created_at.millis(),
                last_updated_timestamp_ms: model.updated_at.millis(),
                artifact_uri: &model.artifact_uri,
                status: status.map_or("LOGGED_MODEL_STATUS_UNSPECIFIED", |(name, ..)| name),
                model_type: &model.model_type,
                source_run_id: &model.source_run,
                tags: pairs(&data.tags),
            },
            data: Data { params: pairs(&data.params), metrics: data.metrics.iter().map(Metric::of).collect() },
        }
    }
}

impl<'a> Metric<'a> {
    fn of(Measurement { run, metric }: &'a Measurement) -> Self {
        Self {
            key: &metric.key,
            value: Double(metric.point.value),
            timestamp: metric.point.at.millis(),
            step: metric.point.step,
            dataset_name: metric.dataset_name.as_deref(),
            dataset_digest: metric.dataset_digest.as_deref(),
            model_id: metric.model.as_str(),
            run_id: run.as_str(),
        }
    }
}
