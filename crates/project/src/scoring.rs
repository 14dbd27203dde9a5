//! Scoring tables of inputs with a stored model: how candidates, champions and history are judged.

use arrow::array::{ArrayRef, RecordBatch};
use lw_core::{Digest, Error, Result};
use lw_serving::{Bundle, Runtime, RuntimeChoice, load_runtime};
use lw_store::Artifacts;

use crate::definition::ModelDefinition;
use crate::workspace::Workspace;

/// A loaded model and the columns that it reads.
pub struct Scoring {
    inputs: Vec<String>,
    runtime: Box<dyn Runtime>,
}

impl Scoring {
    /// Loads what a bundle names, in the runtime that would serve it.
    pub async fn load(artifacts: &Artifacts, bundle: &Bundle) -> Result<Self> {
        Self::of_model(&artifacts.get(&bundle.artifact).await?, bundle)
    }

    /// Loads a model that need not be stored.
    pub fn of_model(onnx: &[u8], bundle: &Bundle) -> Result<Self> {
        let runtime = load_runtime(onnx, bundle, RuntimeChoice::Fitting)?;
        Ok(Self { inputs: bundle.inputs.iter().map(|input| input.name.clone()).collect(), runtime })
    }

    /// Loads a stored bundle.
    pub async fn of_bundle(artifacts: &Artifacts, bundle: &Digest) -> Result<Self> {
        let bundle = Bundle::from_json(&artifacts.get(bundle).await?)?;
        Self::load(artifacts, &bundle).await
    }

    /// Loads a registered version of a model.
    pub async fn of_version(workspace: &Workspace, model: &ModelDefinition, version: u64) -> Result<Self> {
        let bundle = crate::versions::bundle_digest(workspace, &model.model, version).await?;
        Self::of_bundle(workspace.artifacts(), &bundle).await
    }

    /// Whether a table has every column that the model reads.
    pub fn fits(&self, batch: &RecordBatch) -> bool {
        self.inputs.iter().all(|input| batch.column_by_name(input).is_some())
    }

    /// One score a row: a probability, or a value.
    pub fn score(&self, batch: &RecordBatch) -> Result<Vec<f64>> {
        let column = |name: &String| {
            batch.column_by_name(name).cloned().ok_or_else(|| Error::bug(format!("the rows have no column `{name}`")))
        };
        let columns: Vec<ArrayRef> = self.inputs.iter().map(column).collect::<Result<_>>()?;
        let mut scores = Vec::with_capacity(batch.num_rows());
        self.runtime.score(&columns, batch.num_rows(), &mut scores)?;
        Ok(scores)
    }
}
