//! The trainers in the binary. Each fits a model, exports it as ONNX with one named input a feature, and proves the export.

mod baseline;
mod boosting;
mod design;
mod export;
mod lbfgs;
mod lightgbm_text;
mod linear;
mod quiet;

pub use boosting::THREAD_WAIT;
use lw_core::Result;
use lw_stats::Task;

use crate::data::TrainingData;
use crate::definition::{Params, Trainer};
use crate::failures::TRAIN_DEFINITION;
use crate::params::expect_known;
use crate::trained::Trained;

/// What a trainer needs beside its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Fit<'a> {
    pub task: Task,
    pub data: &'a TrainingData,
    /// Newer rows that are not trained on: the loss on them is followed, and early stopping looks at it.
    pub valid: Option<&'a TrainingData>,
    pub seed: u64,
    pub n_threads: usize,
}

/// Trains a model. Reproducible: the same data, parameters and seed give the same ONNX bytes, whatever the number of threads.
///
/// # Errors
/// `trainer-parameter`, `training-data`, `trainer-failed`, or `export-differs` if the exported model does not answer like the
/// trained one.
#[tracing::instrument(level = "debug", skip_all, fields(trainer = trainer.name(), n_rows = fit.data.n_rows()))]
pub fn train(trainer: Trainer, params: &Params, fit: Fit<'_>) -> Result<Trained> {
    if fit.task == Task::BinaryClassification && trainer != Trainer::Baseline {
        fit.data.expect_both_classes()?;
    }
    match trainer {
        Trainer::Baseline => baseline::train(params, fit),
        Trainer::Logistic | Trainer::Linear => linear::train(trainer, &linear::Options::read(trainer, params)?, fit),
        Trainer::GradientBoosting => boosting::train(&boosting::Options::read(params)?, fit),
        Trainer::Python => {
            Err(TRAIN_DEFINITION.error("a python candidate is trained by its script").hint("run it as a step of a pipeline"))
        }
    }
}

/// Checks a trainer's parameters without training.
///
/// # Errors
/// `trainer-parameter`. The parameters of a script are its own business.
pub fn check_params(trainer: Trainer, params: &Params) -> Result<()> {
    match trainer {
        Trainer::Baseline => expect_known("baseline", params, &[]),
        Trainer::Logistic | Trainer::Linear => linear::Options::read(trainer, params).map(drop),
        Trainer::GradientBoosting => boosting::Options::read(params).map(drop),
        Trainer::Python => Ok(()),
    }
}
