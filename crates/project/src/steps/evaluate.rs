//! The best candidate, judged on the hold-out: by segment, against the baseline and against the champion.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lw_core::{Digest, Error, Result};
use lw_evaluation::{EvaluationData, Metric, Report, SegmentColumn, evaluate};
use lw_monitoring::Reference;
use lw_pipelines::StepOutput;
use lw_registry::Registry;
use lw_training::Trainer;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::training_set::Built;
use super::{Candidate, Step};
use crate::definition::ModelDefinition;
use crate::examples::labels;
use crate::failures::NO_EXAMPLES;
use crate::scoring::Scoring;
use crate::serving_bundle::scoring_bundle;

/// What the registry needs of an evaluation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluated {
    pub candidate: Candidate,
    pub report: Digest,
    /// Distributions that production is compared with.
    pub reference: Digest,
    pub champion: Option<u64>,
}

pub async fn run(step: &Step) -> Result<StepOutput> {
    let model = step.model()?;
    let workspace = &step.workspace;
    let built: Built = step.upstream("training_set")?;
    let mut candidates = Vec::with_capacity(model.train.candidates.len());
    for candidate in &model.train.candidates {
        candidates.push(step.upstream::<Candidate>(&format!("train:{}", candidate.name))?);
    }
    let best = choose(model, &candidates)?;
    let (train, holdout) = workspace.examples(&model.model, built.version).await?.split(built.holdout_from)?;
    workspace.forget_examples().await;
    let truth = labels(&holdout)?;
    let predictions = score(step, model, &holdout, best).await?;
    let baseline = candidates.iter().find(|candidate| candidate.trainer == Trainer::Baseline && candidate.name != best.name);
    let baseline = match baseline {
        Some(candidate) => Some((candidate.name.clone(), score(step, model, &holdout, candidate).await?)),
        None => None,
    };
    let champion = champion(step, model, &holdout).await?;
    let mut data = EvaluationData::new(model.task, &truth, &predictions);
    for segment in &model.evaluate.segments {
        let column = holdout
            .column_by_name(segment)
            .ok_or_else(|| Error::bug(format!("segment `{segment}` is not in the training set")))?;
        data = data.segment(SegmentColumn::from_array(segment, column.as_ref())?);
    }
    if let Some((name, scores)) = &baseline {
        data = data.baseline(name.as_str(), scores);
    }
    if let Some((label, _, scores)) = &champion {
        data = data.champion(label.as_str(), scores);
    }
    if best.trainer == Trainer::Baseline {
        data = data.of_baseline();
    }
    let report = evaluate(&model.evaluate, &data, model.train.seed)?;
    let digest = workspace.artifacts().put(lw_core::canonical_json(&report).into_bytes()).await?;
    let reference = reference(model, &train, &predictions, &report)?;
    let reference = workspace.artifacts().put(reference.to_bytes()).await?;
    step.log(format!("{} is the best of {} candidates on {} examples", best.name, candidates.len(), report.n_rows));
    let champion = champion.map(|(_, version, _)| version);
    let evaluated = Evaluated { candidate: best.clone(), report: digest, reference, champion };
    Ok(StepOutput::done(json!(evaluated)).digest("report", digest))
}

/// The candidate with the best value of `choose_by`; of equals the one that is named first.
fn choose<'a>(model: &ModelDefinition, candidates: &'a [Candidate]) -> Result<&'a Candidate> {
    let metric: Metric = model.train.choose_by;
    let measured = candidates.iter().filter_map(|candidate| Some((candidate.metrics.get(&metric)?, candidate)));
    let best = measured.reduce(|best, other| if metric.is_better(*other.0, *best.0) { other } else { best });
    best.map(|(_, candidate)| candidate).ok_or_else(|| {
        NO_EXAMPLES
            .error(format!("no candidate has a {metric} on the hold-out"))
            .hint("widen `train.holdout`: its labels may all be the same")
    })
}

async fn score(step: &Step, model: &ModelDefinition, rows: &RecordBatch, candidate: &Candidate) -> Result<Vec<f64>> {
    let bundle = scoring_bundle(model, &rows.schema(), candidate.model)?;
    Scoring::load(step.workspace.artifacts(), &bundle).await?.score(rows)
}

/// The champion's label, version and scores on the same rows. A champion that reads columns which this model's definition no longer
/// has cannot be compared, and a gate that asks for the comparison will refuse.
async fn champion(step: &Step, model: &ModelDefinition, rows: &RecordBatch) -> Result<Option<(String, u64, Vec<f64>)>> {
    let registry = Registry::new(step.workspace.store().clone());
    let champion = match registry.champion(&model.model).await {
        Ok(champion) => champion,
        Err(error) if error.is(lw_registry::MODEL_NOT_FOUND) => None,
        Err(error) => return Err(error),
    };
    let Some(champion) = champion else {
        return Ok(None);
    };
    let scoring = Scoring::of_version(&step.workspace, model, champion.version).await?;
    if !scoring.fits(rows) {
        step.log(format!("{} reads other columns and cannot be compared on these examples", champion.label()));
        return Ok(None);
    }
    Ok(Some((champion.label(), champion.version, scoring.score(rows)?)))
}

/// The training distributions of the inputs, the hold-out predictions and the report's metrics.
fn reference(model: &ModelDefinition, train: &RecordBatch, predictions: &[f64], report: &Report) -> Result<Reference> {
    let mut reference = Reference::default();
    for input in &model.inputs {
        let column =
            train.column_by_name(input).ok_or_else(|| Error::bug(format!("input `{input}` is not in the training set")))?;
        reference = reference.feature(input, column.as_ref())?;
    }
    reference = reference.predictions(predictions)?;
    let metrics: BTreeMap<Metric, f64> =
        report.metrics.keys().filter_map(|metric| Some((*metric, report.value(*metric)?))).collect();
    for (metric, value) in metrics {
        reference = reference.metric(metric, value);
    }
    Ok(reference)
}

/// Reads a stored report.
pub async fn load_report(artifacts: &lw_store::Artifacts, digest: &Digest) -> Result<Report> {
    serde_json::from_slice(&artifacts.get(digest).await?)
        .map_err(|error| Error::bug("a stored report cannot be read").cause(error))
}
