//! Runs as MLflow's clients read them.

use std::collections::BTreeMap;

use lw_tracking::{DatasetInput, MetricPoint, Run, RunData};
use serde::Serialize;

use super::status_name;
use crate::document::{Double, Pair, pairs};

#[derive(Serialize)]
pub(crate) struct RunInfo<'a> {
    run_uuid: &'a str,
    experiment_id: String,
    run_name: &'a str,
    user_id: &'a str,
    status: &'static str,
    start_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    artifact_uri: &'a str,
    lifecycle_stage: &'static str,
    run_id: &'a str,
}

impl<'a> RunInfo<'a> {
    pub(super) fn of(run: &'a Run) -> Self {
        Self {
            run_uuid: run.id.as_str(),
            experiment_id: run.experiment.to_string(),
            run_name: &run.name,
            user_id: &run.user_id,
            status: status_name(run.status),
            start_time: run.started_at.millis(),
            // A run that ended in 1970 never did, as MLflow sees it.
            end_time: run.ended_at.map(|ended_at| ended_at.millis()).filter(|millis| *millis != 0),
            artifact_uri: &run.artifact_uri,
            lifecycle_stage: run.lifecycle.name(),
            run_id: run.id.as_str(),
        }
    }
}

/// A metric's latest point.
#[derive(Serialize)]
pub(crate) struct MetricDocument<'a> {
    key: &'a str,
    value: Double,
    timestamp: i64,
    step: i64,
}

impl<'a> MetricDocument<'a> {
    pub(crate) fn of(key: &'a str, point: &MetricPoint) -> Self {
        Self { key, value: Double(point.value), timestamp: point.at.millis(), step: point.step }
    }
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct Dataset<'a> {
    name: &'a str,
    digest: &'a str,
    source_type: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
}

#[derive(Serialize)]
struct Input<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
    dataset: Dataset<'a>,
}

impl<'a> Input<'a> {
    fn of(input: &'a DatasetInput) -> Self {
        let filled = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        Self {
            tags: pairs(input.tags.iter().map(|(key, value)| (key, value))),
            dataset: Dataset {
                name: &input.name,
                digest: &input.digest,
                source_type: &input.source_type,
                source: &input.source,
                schema: filled(&input.schema),
                profile: filled(&input.profile),
            },
        }
    }
}

#[derive(Serialize)]
struct ModelInput<'a> {
    model_id: &'a str,
}

#[derive(Serialize)]
struct ModelOutput<'a> {
    model_id: &'a str,
    step: i64,
}

#[derive(Serialize)]
struct Inputs<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<Input<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_inputs: Vec<ModelInput<'a>>,
}

#[derive(Serialize)]
struct Outputs<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_outputs: Vec<ModelOutput<'a>>,
}

#[derive(Serialize)]
pub(crate) struct RunDocument<'a> {
    info: RunInfo<'a>,
    data: Data<'a>,
    inputs: Inputs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Outputs<'a>>,
}

impl<'a> RunDocument<'a> {
    pub(super) fn of(data: &'a RunData) -> Self {
        let outputs = data.model_outputs.iter().map(|output| ModelOutput { model_id: output.model.as_str(), step: output.step });
        Self {
            info: RunInfo::of(&data.run),
            data: Data {
                metrics: data.metrics.iter().map(|(key, point)| MetricDocument::of(key, point)).collect(),
                params: pairs(&data.params),
                tags: pairs(&data.tags),
            },
            inputs: Inputs {
                dataset_inputs: data.datasets.iter().map(Input::of).collect(),
                model_inputs: data.model_inputs.iter().map(|model| ModelInput { model_id: model.as_str() }).collect(),
            },
            outputs: Some(Outputs { model_outputs: outputs.collect() }),
        }
    }

    /// A run that has just started with these tags.
    pub(super) fn started(run: &'a Run, tags: &'a [(String, String)]) -> Self {
        let mut by_key: BTreeMap<&str, &str> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        by_key.insert("mlflow.runName", &run.name);
        let tags = by_key.into_iter().map(|(key, value)| Pair { key, value }).collect();
        let data = Data { metrics: Vec::new(), params: Vec::new(), tags };
        let inputs = Inputs { dataset_inputs: Vec::new(), model_inputs: Vec::new() };
        Self { info: RunInfo::of(run), data, inputs, outputs: None }
    }
}
