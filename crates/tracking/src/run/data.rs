//! Runs together with what they logged.

use std::collections::BTreeMap;

use lw_core::{Result, RunId};
use lw_store::Reader;
use serde::{Deserialize, Serialize};

use crate::{DatasetInput, LoggedModelId, MetricPoint, ModelOutput, Run, queries};

/// A run with what it logged: of each metric the latest point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunData {
    pub run: Run,
    pub params: BTreeMap<String, String>,
    pub metrics: BTreeMap<String, MetricPoint>,
    pub tags: BTreeMap<String, String>,
    pub datasets: Vec<DatasetInput>,
    /// The logged models that the run read.
    #[serde(default)]
    pub model_inputs: Vec<LoggedModelId>,
    #[serde(default)]
    pub model_outputs: Vec<ModelOutput>,
}

/// How much of what runs logged is wanted. Runs with thousands of metrics are listed quickly if few are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Projection {
    #[default]
    All,
    /// Those with these names, and nothing about datasets and models.
    Only { metrics: Vec<String>, params: Vec<String>, tags: Vec<String> },
}

/// Adds what the runs logged, with a few statements for all of them.
pub(crate) fn with_data(reader: &mut Reader<'_>, runs: Vec<Run>, projection: &Projection) -> Result<Vec<RunData>> {
    let numbers: Vec<u64> = runs.iter().map(|run| run.number).collect();
    let (metrics, params, tags) = match projection {
        Projection::All => (None, None, None),
        Projection::Only { metrics, params, tags } => (Some(&**metrics), Some(&**params), Some(&**tags)),
    };
    let mut metrics = queries::latest_points_of(reader, &numbers, metrics)?;
    let mut params = queries::params_of(reader, &numbers, params)?;
    let mut tags = queries::tags_of(reader, &numbers, tags)?;
    let ids: Vec<RunId> = match projection {
        Projection::All => runs.iter().map(|run| run.id.clone()).collect(),
        Projection::Only { .. } => Vec::new(),
    };
    let mut datasets = queries::datasets_of(reader, &ids)?;
    let mut model_inputs = queries::model_inputs_of(reader, &ids)?;
    let mut model_outputs = queries::model_outputs_of(reader, &ids)?;
    let with_data = |run: Run| RunData {
        params: params.remove(&run.number).into_iter().flatten().collect(),
        metrics: metrics.remove(&run.number).into_iter().flatten().collect(),
        tags: tags.remove(&run.number).into_iter().flatten().collect(),
        datasets: datasets.remove(&run.id).unwrap_or_default(),
        model_inputs: model_inputs.remove(&run.id).unwrap_or_default(),
        model_outputs: model_outputs.remove(&run.id).unwrap_or_default(),
        run,
    };
    Ok(runs.into_iter().map(with_data).collect())
}
