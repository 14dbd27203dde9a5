//! What runs read and made: datasets and logged models.

use lw_core::{Ctx, Draft, Reference, Result, RunId, Subject, SubjectKind};
use lw_store::Tx;
use serde::{Deserialize, Serialize};

use crate::key::check_length;
use crate::seal::{self, Part};
use crate::{BAD_DATASET, ExperimentId, LoggedModelId, Tracking, queries, run};

/// The tag in which MLflow's clients say what a run used a dataset for.
const CONTEXT_TAG: &str = "mlflow.data.context";

/// A dataset as MLflow describes it. A run has it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetInput {
    pub name: String,
    pub digest: String,
    pub tags: Vec<(String, String)>,
    /// Where it is kept, such as `delta` or `local`.
    pub source_type: String,
    /// How to find it: a URI, or JSON as the source type defines it. `loopwright:table/flights@3` names a version of ours.
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// A dataset that some run of an experiment read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetSummary {
    pub experiment: ExperimentId,
    pub name: String,
    pub digest: String,
    pub context: Option<String>,
}

/// A logged model that a run made, and at which of its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOutput {
    pub model: LoggedModelId,
    pub step: i64,
}

/// How many summaries of datasets are listed.
const MOST_SUMMARIES: u64 = 1000;

impl DatasetInput {
    /// What the run used it for, such as `training`.
    pub fn context(&self) -> Option<&str> {
        self.tags.iter().find(|(key, _)| key == CONTEXT_TAG).map(|(_, value)| value.as_str())
    }

    fn check(&self) -> Result<()> {
        let limits = [
            ("name", Some(&self.name), 500),
            ("digest", Some(&self.digest), 36),
            ("source", Some(&self.source), 65_535),
            ("schema", self.schema.as_ref(), 1_048_575),
            ("profile", self.profile.as_ref(), 16_777_215),
        ];
        let tags = self.tags.iter().flat_map(|(key, value)| [("key", Some(key), 255), ("value", Some(value), 500)]);
        for (what, text, limit) in limits.into_iter().chain(tags) {
            let Some(text) = text else { continue };
            check_length(|| what.to_owned(), text, limit).map_err(|error| BAD_DATASET.error(error.message()))?;
        }
        Ok(())
    }

    /// The version of ours that the source names, if it names one: a URI `loopwright:table/flights@3`, plain or as the `uri`, `url` or
    /// `path` of a JSON object.
    pub fn subject(&self) -> Option<Subject> {
        let of_uri = |uri: &str| Subject::parse(uri.strip_prefix("loopwright:")?.trim_start_matches('/')).ok();
        of_uri(&self.source).or_else(|| {
            let source: serde_json::Value = serde_json::from_str(&self.source).ok()?;
            ["uri", "url", "path"].iter().find_map(|name| of_uri(source.get(name)?.as_str()?))
        })
    }
}

impl Tracking {
    /// Says which datasets and logged models the run reads. Saying so twice changes nothing. Versions of ours among them become inputs
    /// of the run in the ledger.
    pub async fn log_inputs(
        &self,
        ctx: &Ctx,
        run: &RunId,
        datasets: Vec<DatasetInput>,
        models: Vec<LoggedModelId>,
    ) -> Result<()> {
        datasets.iter().try_for_each(DatasetInput::check)?;
        let run = run.clone();
        self.store.write(ctx, move |tx| write_inputs(tx, &run, &datasets, &models)).await
    }

    /// Says which logged models the run made.
    pub async fn log_outputs(&self, ctx: &Ctx, run: &RunId, outputs: Vec<ModelOutput>) -> Result<()> {
        let run = run.clone();
        self.store
            .write(ctx, move |tx| {
                run::target(tx, &run)?;
                outputs.iter().try_for_each(|output| queries::put_model_output(tx, &run, output))
            })
            .await
    }

    /// The datasets that runs of some experiments read, each once: at most 1,000.
    pub async fn datasets(&self, experiments: &[ExperimentId]) -> Result<Vec<DatasetSummary>> {
        let experiments = experiments.to_vec();
        self.store.read(move |reader| queries::dataset_summaries(reader, &experiments, MOST_SUMMARIES)).await
    }
}

fn write_inputs(tx: &mut Tx<'_>, run: &RunId, datasets: &[DatasetInput], models: &[LoggedModelId]) -> Result<()> {
    let target = run::target(tx, run)?;
    for dataset in datasets {
        queries::put_dataset(tx, run, dataset)?;
    }
    seal::renew(tx, run, &target, &[Part::Datasets])?;
    for model in models {
        queries::put_model_input(tx, run, model)?;
    }
    let of_dataset = |dataset: &DatasetInput| {
        let role = dataset.context().unwrap_or("dataset").to_owned();
        dataset.subject().map(|subject| Reference { role, subject, digest: None })
    };
    let mut inputs: Vec<Reference> = datasets.iter().filter_map(of_dataset).collect();
    for model in models {
        if queries::logged_model(tx, model)?.is_some() {
            inputs.push(Reference::new("model", model.subject(), None));
        }
    }
    if inputs.is_empty() {
        return Ok(());
    }
    let mut draft = Draft::new("run.inputs", Subject::unversioned(SubjectKind::Run, run.as_str()));
    draft.inputs = inputs;
    tx.record(draft)?;
    Ok(())
}
