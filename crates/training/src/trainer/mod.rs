//! The trainers in the binary. Each fits a model, exports it as ONNX with one named input a feature, and proves the export.

mod baseline;
mod boosting;
mod design;
mod export;
mod lbfgs;
mod lightgbm_text;
mod linear;
mod newton;
mod quiet;

use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// The threads that fits which run at the same time in this process share.
    pub n_threads: usize,
}

static N_RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A fit among those that run in this process. Two that used all cores each would wait for one another at every barrier.
struct Running {
    n: usize,
}

impl Running {
    fn begin() -> Self {
        Self { n: N_RUNNING.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        N_RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Trains a model. Reproducible: the same data, parameters and seed give the same ONNX bytes, whatever the number of threads.
///
/// # Errors
/// `trainer-parameter`, `training-data`, `trainer-failed`, or `export-differs` if the exported model does not answer like the
/// trained one.
#[tracing::instrument(level = "debug", skip_all, fields(trainer = trainer.name(), n_rows = fit.data.n_rows()))]
pub fn train(trainer: Trainer, params: &Params, fit: Fit<'_>) -> Result<Trained> {
    let running = Running::begin();
    let fit = Fit { n_threads: (fit.n_threads / running.n).max(1), ..fit };
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
