//! One candidate: fitted, exported, measured on the hold-out and tracked as a run.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lw_core::{Digest, Error, Name, Result, RunId, Schema, Subject, SubjectKind, Timestamp};
use lw_evaluation::{Metric, Task};
use lw_pipelines::StepOutput;
use lw_tracking::{Batch, Circumstances, DatasetInput, Environment, NewRun, RunStatus, Tracking};
use lw_training::{Candidate as CandidateDefinition, DataColumns, Fit, Params, Trained, Trainer, TrainingData, train_candidate};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Step;
use super::script::{self, Left};
use super::training_set::Built;
use crate::code::Code;
use crate::definition::ModelDefinition;
use crate::examples::{Examples, LABEL};
use crate::failures::NO_EXAMPLES;
use crate::project::Project;
use crate::scoring::Scoring;
use crate::serving_bundle::scoring_bundle;
use crate::workspace::Workspace;

/// A trained candidate, as later steps need it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Candidate {
    pub name: Name,
    pub trainer: Trainer,
    pub run: RunId,
    pub model: Digest,
    pub inputs: Schema,
    pub outputs: Schema,
    pub params: Params,
    pub seed: u64,
    pub n_rows: u64,
    /// The script that trained it, if one did.
    #[serde(default)]
    pub code: Option<Code>,
    /// Largest difference between the native model and its export, if both are at hand.
    pub parity: Option<f64>,
    pub libraries: BTreeMap<String, String>,
    /// On the hold-out; a metric that has no value there is missing.
    pub metrics: BTreeMap<Metric, f64>,
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Metric points that one transaction takes.
pub(super) const LOGGED_POINTS: usize = 900;

pub async fn run(step: &Step) -> Result<StepOutput> {
    let model = step.model()?;
    let name: Name = step.param("candidate")?;
    let definition = model.train.candidates.iter().find(|candidate| candidate.name == name);
    let definition = definition.ok_or_else(|| Error::bug(format!("candidate `{name}` was compiled and is gone")))?;
    let built: Built = step.upstream("training_set")?;
    let (workspace, ctx) = (&step.workspace, &step.context.ctx);
    let tracking = Tracking::new(workspace.store().clone());
    let experiment = tracking.ensure_experiment(ctx, model.model.as_str()).await?;
    let mut circumstances = Circumstances::of_directory(&step.project.bundle.root).seed("train", model.train.seed);
    if definition.trainer == Trainer::Python {
        let versions = script::versions(&step.project.bundle.root, definition).await;
        let add = |environment: Environment| versions.iter().fold(environment, |all, (name, version)| all.version(name, version));
        circumstances.environment = circumstances.environment.map(add);
    }
    let set = Subject::new(SubjectKind::TrainingSet, &model.model, built.version);
    let new = NewRun::of(experiment.id, circumstances).named(name.as_str()).input("training_set", set, built.content);
    let tracked = tracking.start_run(ctx, new).await?;
    let trained = train(step, &tracking, &tracked.id, (definition, &built)).await;
    let status = if trained.is_ok() { RunStatus::Finished } else { RunStatus::Failed };
    let finished = tracking.finish_run(ctx, &tracked.id, status).await;
    // Why the candidate failed matters more than that its run could not be closed.
    let candidate = trained?;
    finished?;
    let digest = candidate.model;
    Ok(StepOutput::done(json!(candidate)).digest("model", digest))
}

/// What happens between the start of the tracked run and its end.
async fn train(
    step: &Step,
    tracking: &Tracking,
    run: &RunId,
    (definition, built): (&CandidateDefinition, &Built),
) -> Result<Candidate> {
    let model = step.model()?;
    let (workspace, ctx) = (&step.workspace, &step.context.ctx);
    tracking.log_inputs(ctx, run, vec![dataset(&model.model, built)], Vec::new()).await?;
    let examples = workspace.examples(&model.model, built.version).await?;
    let holdout_from = built.holdout_from;
    let project = &*step.project;
    let fitting = Fitting { workspace, project, model, candidate: definition, examples: &examples, holdout_from, run };
    let fitted = fitting.fit().await;
    script::show_log(step, run);
    let Fitted { trained, trials, left } = match fitted {
        Ok(fitted) => fitted,
        Err(error) => {
            script::keep_log(workspace, ctx, run).await?;
            return Err(error);
        }
    };
    let digest = workspace.artifacts().put(trained.onnx.clone()).await?;
    let (_, holdout) = examples.split(built.holdout_from)?;
    let metrics = measure(model, &trained.onnx, &holdout)?;
    log(tracking, step, run, &trained, &metrics, &trials).await?;
    tracking.log_artifact(ctx, run, "model/model.onnx", digest, trained.onnx.len() as u64).await?;
    if let Some(left) = left {
        left.keep(workspace, ctx, run).await?;
    }
    let shown: Vec<String> = metrics.iter().map(|(metric, value)| format!("{metric} {value:.4}")).collect();
    step.log(format!("{}: {} on {} hold-out examples", definition.name, shown.join(", "), holdout.num_rows()));
    Ok(Candidate {
        name: definition.name.clone(),
        code: Code::of(&step.project.bundle, definition),
        trainer: trained.trainer,
        run: run.clone(),
        model: digest,
        inputs: trained.inputs,
        outputs: trained.outputs,
        params: trained.params,
        seed: trained.seed,
        n_rows: trained.n_rows,
        parity: trained.parity.map(|parity| parity.max_difference),
        libraries: trained.libraries,
        metrics,
    })
}

/// The training set as a dataset of the run.
fn dataset(model: &Name, built: &Built) -> DatasetInput {
    // MLflow's form has room for 36 characters.
    let digest = built.content.to_string().chars().rev().take(32).collect::<Vec<_>>().into_iter().rev().collect();
    DatasetInput {
        name: format!("{model}@{}", built.version),
        digest,
        tags: vec![("mlflow.data.context".to_owned(), "training".to_owned())],
        source_type: "loopwright".to_owned(),
        source: format!("loopwright:{}", Subject::new(SubjectKind::TrainingSet, model, built.version)),
        schema: None,
        profile: Some(json!({ "num_rows": built.n_rows }).to_string()),
    }
}

/// A candidate and what it is fitted on.
pub struct Fitting<'a> {
    pub workspace: &'a Workspace,
    /// As it was applied when the run started.
    pub project: &'a Project,
    pub model: &'a ModelDefinition,
    pub candidate: &'a CandidateDefinition,
    pub examples: &'a Examples,
    pub holdout_from: Timestamp,
    pub run: &'a RunId,
}

/// A fitted candidate.
pub struct Fitted {
    pub trained: Trained,
    /// What a study tried.
    pub trials: Vec<(Params, Option<f64>)>,
    /// What a script left beside its model.
    pub left: Option<Left>,
}

impl Fitting<'_> {
    /// Fits the candidate on the examples before the hold-out whose labels were known by then.
    pub async fn fit(&self) -> Result<Fitted> {
        let (train, holdout) = self.examples.split(self.holdout_from)?;
        if train.num_rows() == 0 || holdout.num_rows() == 0 {
            return Err(NO_EXAMPLES
                .error(format!("{} examples train and {} judge; both need some", train.num_rows(), holdout.num_rows()))
                .hint("widen `train.window` or shorten `train.holdout`"));
        }
        if self.candidate.trainer == Trainer::Python {
            let (trained, left) = script::run(self, &train).await?;
            return Ok(Fitted { trained, trials: Vec::new(), left: Some(left) });
        }
        let (candidate, task, seed) = (self.candidate.clone(), self.model.task, self.model.train.seed);
        let (inputs, choose_by) = (self.model.inputs.clone(), self.model.train.choose_by);
        let n_threads = cores();
        let fitting = tokio::task::spawn_blocking(move || {
            let columns = DataColumns { inputs: &inputs, label: LABEL, weight: None };
            let data = TrainingData::from_batches(&[train], columns, task)?;
            let fit = Fit { task, data: &data, valid: None, seed, n_threads };
            let outcome = train_candidate(&candidate, choose_by, fit, |_| Ok(()))?;
            let trials = outcome.trials.into_iter().map(|trial| (trial.params, trial.value)).collect();
            Ok(Fitted { trained: outcome.trained, trials, left: None })
        });
        fitting.await.map_err(|error| Error::bug("a trainer panicked").cause(error))?
    }
}

/// The model's metrics on the hold-out. A metric without a value there is left out.
#[tracing::instrument(level = "debug", skip_all)]
pub fn measure(model: &ModelDefinition, onnx: &[u8], holdout: &RecordBatch) -> Result<BTreeMap<Metric, f64>> {
    let scoring = Scoring::of_model(onnx, &scoring_bundle(model, &holdout.schema(), Digest::of(onnx))?)?;
    let (scores, labels) = (scoring.score(holdout)?, crate::examples::labels(holdout)?);
    let threshold = model.evaluate.threshold;
    let mut wanted = model.evaluate.metrics.clone();
    if !wanted.contains(&model.train.choose_by) {
        wanted.push(model.train.choose_by);
    }
    let value = |metric: Metric| metric.compute_at(threshold, &labels, &scores).ok().map(|value| (metric, value));
    Ok(wanted.into_iter().filter(|metric| suits(*metric, model.task)).filter_map(value).collect())
}

fn suits(metric: Metric, task: Task) -> bool {
    metric.task() == task
}

async fn log(
    tracking: &Tracking,
    step: &Step,
    run: &RunId,
    trained: &Trained,
    metrics: &BTreeMap<Metric, f64>,
    trials: &[(Params, Option<f64>)],
) -> Result<()> {
    let ctx = &step.context.ctx;
    let now = ctx.now();
    let mut batch =
        Batch::default().param("trainer", trained.trainer.name()).tag("loopwright.pipeline_run", step.context.run.as_str());
    for (name, value) in &trained.params {
        batch = batch.param(name, value.to_string());
    }
    for (metric, value) in metrics {
        batch = batch.metric(&format!("holdout_{metric}"), *value, now, 0);
    }
    for round in trained.rounds.iter().take(LOGGED_POINTS) {
        batch = batch.metric("train_loss", round.train_loss, now, i64::from(round.round));
    }
    tracking.log(ctx, run, batch).await?;
    for (index, (params, value)) in trials.iter().enumerate() {
        let text = serde_json::to_string(params).unwrap_or_default();
        let step_index = i64::try_from(index).unwrap_or(i64::MAX);
        let mut batch = Batch::default().tag(&format!("trial.{index}"), text);
        if let Some(value) = value {
            batch = batch.metric("trial", *value, now, step_index);
        }
        tracking.log(ctx, run, batch).await?;
    }
    Ok(())
}
