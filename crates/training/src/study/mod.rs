//! A study searches for better parameters: trial after trial, each trained on the older rows and measured on the newest.

mod sampler;
mod space;

use lw_core::Result;
use lw_stats::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use sampler::Sampler;
pub use space::{Distribution, Space};

use crate::data::TrainingData;
use crate::definition::{Candidate, Params};
use crate::failures::{TRAIN_DEFINITION, TRAINING_DATA};
use crate::trained::Trained;
use crate::trainer::{Fit, train};
use sampler::{Observation, Search};

/// How many sets of parameters are tried, out of which space, and how they are chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StudyDefinition {
    pub trials: u32,
    #[serde(default)]
    pub sampler: Sampler,
    pub space: Space,
    /// The share of the rows, the newest, that trials are measured on.
    #[serde(default = "default_validation")]
    pub validation: f64,
}

fn default_validation() -> f64 {
    0.2
}

impl StudyDefinition {
    /// `check_params` is asked about the ends of the space, over the candidate's fixed parameters.
    pub(crate) fn check(&self, check_params: impl Fn(Params) -> Result<()>, fixed: &Params) -> Result<()> {
        if self.trials == 0 || self.space.is_empty() {
            return Err(TRAIN_DEFINITION
                .error("a study needs trials and a space")
                .hint("write `trials: 20` and `space: {l2: {log: [0.01, 100]}}`"));
        }
        if !(self.validation > 0.0 && self.validation < 1.0) {
            let error = TRAIN_DEFINITION.error(format!("validation is {}, not a share between 0 and 1", self.validation));
            return Err(error.hint("write `validation: 0.2`"));
        }
        for (name, distribution) in &self.space {
            distribution.check(name)?;
            for value in distribution.ends() {
                let mut params = fixed.clone();
                params.insert(name.clone(), value);
                check_params(params)?;
            }
        }
        Ok(())
    }
}

/// One set of parameters and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Counts from 0.
    pub index: u32,
    /// The searched parameters only.
    pub params: Params,
    /// The metric on the newest rows; none if the model could not be trained or measured.
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A candidate's model, with the trials that led to its parameters.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub trained: Trained,
    pub trials: Vec<Trial>,
}

/// Trains a candidate: its study first, if it has one, then the model on all rows with the best parameters.
///
/// `report` hears of each trial when it ends; an error from it ends the study.
///
/// # Errors
/// Those of [`train`]; `training-data` if no trial gave a model.
pub fn train_candidate(
    candidate: &Candidate,
    choose_by: Metric,
    fit: Fit<'_>,
    mut report: impl FnMut(&Trial) -> Result<()>,
) -> Result<Outcome> {
    let Some(study) = &candidate.study else {
        return Ok(Outcome { trained: train(candidate.trainer, &candidate.params, fit)?, trials: Vec::new() });
    };
    let n_rows = fit.data.n_rows();
    let n_valid = ((n_rows as f64 * study.validation) as usize).max(1);
    let (older, newest) = fit.data.split_at(n_rows - n_valid.min(n_rows));
    if older.n_rows() == 0 {
        return Err(TRAINING_DATA.error(format!("{n_rows} rows are too few for a study")).hint("train on a longer `window`"));
    }
    let trial_fit = Fit { data: &older, valid: Some(&newest), ..fit };
    let mut search = Search::new(study, fit.seed);
    let mut trials: Vec<Trial> = Vec::new();
    for index in 0..study.trials {
        let observations: Vec<Observation<'_>> = trials.iter().filter_map(|trial| observe(trial, choose_by)).collect();
        let params = search.next(&observations);
        let mut all = candidate.params.clone();
        all.extend(params.clone());
        let measured = train(candidate.trainer, &all, trial_fit).and_then(|trained| measure(&trained, &newest, choose_by));
        let trial = match measured {
            Ok(value) => Trial { index, params, value: Some(value), failure: None },
            Err(error) => Trial { index, params, value: None, failure: Some(error.to_string()) },
        };
        report(&trial)?;
        trials.push(trial);
    }
    let measured = trials.iter().filter_map(|trial| trial.value.map(|value| (value, trial)));
    let best = measured.reduce(|best, other| if choose_by.is_better(other.0, best.0) { other } else { best });
    let Some((_, best)) = best else {
        let failure = trials.iter().find_map(|trial| trial.failure.clone()).unwrap_or_default();
        return Err(TRAINING_DATA
            .error(format!("no trial of the study gave a model: {failure}"))
            .hint("train the candidate without its study first"));
    };
    let mut params = candidate.params.clone();
    params.extend(best.params.clone());
    let trained = train(candidate.trainer, &params, fit)?;
    Ok(Outcome { trained, trials })
}

fn measure(trained: &Trained, rows: &TrainingData, metric: Metric) -> Result<f64> {
    metric.compute(rows.labels(), &trained.predict(rows)?)
}

/// A trial as the sampler sees it: lower is better.
fn observe(trial: &Trial, metric: Metric) -> Option<Observation<'_>> {
    let value = trial.value?;
    Some(Observation { params: &trial.params, cost: -metric.improvement(value, 0.0) })
}
