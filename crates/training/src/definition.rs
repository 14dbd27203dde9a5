//! The `train` part of a model's file.

use std::collections::{BTreeMap, BTreeSet};

use lw_core::{Name, Result, Span};
use lw_stats::{Metric, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failures::TRAIN_DEFINITION;
use crate::study::StudyDefinition;
use crate::trainer;

/// The parameters of a trainer, by name.
pub type Params = BTreeMap<String, serde_json::Value>;

/// How a model is trained: on which stretch of time, by which candidates, and which of them wins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainDefinition {
    /// Examples from this long before the holdout train the model.
    pub window: Span,
    /// The newest examples with known labels, which compare the candidates and are never trained on.
    pub holdout: Span,
    /// Decides every random draw. The same data, parameters and seed give the same model.
    #[serde(default)]
    pub seed: u64,
    pub candidates: Vec<Candidate>,
    /// The metric on the holdout that picks the candidate.
    pub choose_by: Metric,
}

/// One way to train the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    pub name: Name,
    pub trainer: Trainer,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: Params,
    /// Searches for better parameters before the model is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<StudyDefinition>,
    /// The script of a `python` candidate: a file of the project's `scripts/`. It runs with the files of its own folder and below, as
    /// they were applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The interpreter of a `python` candidate; `python3` by default. A path with a slash is relative to the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// How long the script of a `python` candidate may run; an hour by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// The share of the training examples, the newest, that a `python` candidate is given apart from the others, to validate by;
    /// a fifth by default, 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
}

/// The share of the training examples that a script gets to validate by if its candidate does not say.
const DEFAULT_VALIDATION: f64 = 0.2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trainer {
    /// The share of positives, or the mean label: what any other candidate must beat.
    Baseline,
    /// Logistic regression with an L2 penalty.
    Logistic,
    /// Linear regression with an L2 penalty.
    Linear,
    /// Boosted decision trees (LightGBM).
    GradientBoosting,
    /// A script with any library, which hands back an ONNX model.
    Python,
}

impl Trainer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Logistic => "logistic",
            Self::Linear => "linear",
            Self::GradientBoosting => "gradient_boosting",
            Self::Python => "python",
        }
    }

    fn suits(self, task: Task) -> bool {
        match self {
            Self::Logistic => task == Task::BinaryClassification,
            Self::Linear => task == Task::Regression,
            Self::Baseline | Self::GradientBoosting | Self::Python => true,
        }
    }
}

impl TrainDefinition {
    /// Checks what can be checked without data.
    ///
    /// # Errors
    /// `train-definition` or `trainer-parameter`, each with what to write instead.
    pub fn check(&self, task: Task) -> Result<()> {
        if self.window <= Span::ZERO || self.holdout <= Span::ZERO {
            let error = TRAIN_DEFINITION.error("the window and the holdout of training must be longer than nothing");
            return Err(error.hint("write `window: 120d` and `holdout: 14d`, for example"));
        }
        if self.candidates.is_empty() {
            return Err(TRAIN_DEFINITION.error("training has no candidates").hint("add `- {name: baseline, trainer: baseline}`"));
        }
        if self.choose_by.task() != task {
            let names: Vec<&str> =
                Metric::ALL.iter().filter(|metric| metric.task() == task).map(|metric| metric.name()).collect();
            let error = TRAIN_DEFINITION.error(format!("choose_by: {} does not measure this model's task", self.choose_by));
            return Err(error.hint(format!("the metrics for it are {}", names.join(", "))));
        }
        let mut names = BTreeSet::new();
        for candidate in &self.candidates {
            if !names.insert(candidate.name.as_str()) {
                let error = TRAIN_DEFINITION.error(format!("two candidates are named `{}`", candidate.name));
                return Err(error.hint("give each candidate a name of its own"));
            }
            candidate.check(task).map_err(|error| error.context(format!("candidate `{}`", candidate.name)))?;
        }
        Ok(())
    }
}

impl Candidate {
    /// How much of the training examples, the newest, a script is given to validate by.
    pub fn validation_share(&self) -> f64 {
        self.validation.unwrap_or(DEFAULT_VALIDATION)
    }

    fn check(&self, task: Task) -> Result<()> {
        if !self.trainer.suits(task) {
            let other = if task == Task::Regression { Trainer::Linear } else { Trainer::Logistic };
            let error = TRAIN_DEFINITION.error(format!("trainer {} does not suit this model's task", self.trainer.name()));
            return Err(error.hint(format!("write `trainer: {}`", other.name())));
        }
        let is_python = self.trainer == Trainer::Python;
        if is_python && self.script.is_none() {
            return Err(TRAIN_DEFINITION.error("trainer python has no script").hint("add `script: scripts/train.py`"));
        }
        let has_script_part =
            self.script.is_some() || self.python.is_some() || self.timeout.is_some() || self.validation.is_some();
        if !is_python && has_script_part {
            let error = TRAIN_DEFINITION.error(format!("trainer {} runs no script", self.trainer.name()));
            return Err(error.hint("remove `script`, `python`, `timeout` and `validation`, or write `trainer: python`"));
        }
        if !(0.0..=0.9).contains(&self.validation_share()) {
            let error = TRAIN_DEFINITION.error(format!("{} is no share of the examples to validate by", self.validation_share()));
            return Err(error.hint("write a number from 0 to 0.9, like `validation: 0.2`"));
        }
        trainer::check_params(self.trainer, &self.params)?;
        match &self.study {
            Some(_) if is_python => Err(TRAIN_DEFINITION
                .error("a python candidate has no study")
                .hint("tune inside the script, or give fixed `params`")),
            Some(study) => study.check(|params| trainer::check_params(self.trainer, &params), &self.params),
            None => Ok(()),
        }
    }
}
