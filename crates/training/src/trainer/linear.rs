//! Logistic and linear regression with an L2 penalty, on scaled columns.

use std::collections::BTreeMap;

use lw_core::Result;
use lw_stats::Task;
use serde_json::json;

use super::Fit;
use super::design::{Design, Matrix};
use super::export::{Export, answer, loss};
use super::lbfgs::{self, Limits, Minimum};
use super::newton::{self, Curvature};
use crate::data::TrainingData;
use crate::definition::{Params, Trainer};
use crate::params::{expect_known, integer, number};
use crate::trained::{N_PARITY_ROWS, Round, Trained, importances, outputs, prove};

/// `l2`: weight of half the squared length of the coefficients against the sum of the rows' losses (scikit-learn's 1 / C, or the
/// alpha of Ridge). Numbers are scaled to mean 0 and deviation 1; missing ones become the mean. A feature of up to
/// `max_categories` texts has a coefficient for each; one of more is replaced by the mean label of its text, smoothed by `smoothing`
/// rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    l2: f64,
    max_iterations: usize,
    max_categories: usize,
    smoothing: f64,
}

/// How far the export may be: coefficients are rounded to 32 bits.
const PARITY_LIMIT: f64 = 1e-5;
/// With more columns than this, the curvature costs more than it saves.
const MAX_CURVED_COLUMNS: usize = 300;

impl Options {
    pub fn read(trainer: Trainer, params: &Params) -> Result<Self> {
        expect_known(trainer.name(), params, &["l2", "max_iterations", "max_categories", "smoothing"])?;
        Ok(Self {
            l2: number(params, "l2", 1.0, 0.0..=1e12)?,
            max_iterations: integer(params, "max_iterations", 300, 1..=100_000)? as usize,
            max_categories: integer(params, "max_categories", 50, 0..=10_000)? as usize,
            smoothing: number(params, "smoothing", 20.0, 0.0..=1e9)?,
        })
    }

    fn params(&self) -> Params {
        BTreeMap::from([
            ("l2".to_owned(), json!(self.l2)),
            ("max_iterations".to_owned(), json!(self.max_iterations)),
            ("max_categories".to_owned(), json!(self.max_categories)),
            ("smoothing".to_owned(), json!(self.smoothing)),
        ])
    }
}

pub(super) fn train(trainer: Trainer, options: &Options, fit: Fit<'_>) -> Result<Trained> {
    let data = fit.data;
    let (design, columns) = Design::learn(data, options.max_categories, options.smoothing);
    let matrix = design.matrix(data, &columns);
    let (coefficients, rounds) = minimise_loss(fit.task, data, &matrix, options);
    let (intercept, coefficients) = coefficients.split_last().expect("the intercept is always there");

    let mut export = Export::new(trainer, data);
    let features = design.export(&mut export, data)?;
    let weights: Vec<f32> = coefficients.iter().map(|&weight| weight as f32).collect();
    let score = export.graph.linear_regressor(&features, &weights, *intercept as f32);
    let onnx = export.finish(fit.task, &score)?;

    let sample = data.slice(0..data.n_rows().min(N_PARITY_ROWS));
    let sample_matrix = design.matrix(&sample, &design.columns(&sample));
    let native = (0..sample.n_rows()).map(|row| answer(fit.task, sample_matrix.product(row, coefficients) + intercept));
    let native: Vec<f64> = native.collect();
    let by_feature = design.weights_by_feature(&matrix, coefficients);
    Ok(Trained {
        trainer,
        parity: Some(prove(&onnx, &sample, &native, PARITY_LIMIT)?),
        onnx,
        inputs: data.inputs(),
        outputs: outputs(fit.task),
        params: options.params(),
        seed: fit.seed,
        n_rows: data.n_rows() as u64,
        rounds,
        importances: importances(data.features.iter().map(|feature| feature.name().to_owned()).zip(by_feature)),
        libraries: BTreeMap::new(),
    })
}

/// The coefficients, the intercept last, and the loss a row after each iteration.
fn minimise_loss(task: Task, data: &TrainingData, matrix: &Matrix<'_>, options: &Options) -> (Vec<f64>, Vec<Round>) {
    let n_columns = matrix.n_columns;
    let total_weight: f64 = (0..data.n_rows()).map(|row| data.weight(row)).sum();
    let mean = data.mean_label();
    let (start_intercept, curvature) = match task {
        Task::BinaryClassification => ((mean / (1.0 - mean)).ln(), mean * (1.0 - mean)),
        Task::Regression => (mean, 1.0),
    };
    let mut start = vec![0.0; n_columns + 1];
    start[n_columns] = start_intercept;
    let limits = Limits { max_iterations: options.max_iterations, tolerance: 1e-8 };
    let slopes = |point: &[f64], gradient: &mut [f64]| loss_and_gradient(task, data, matrix, (options.l2, point), gradient);
    let by_curvature = (n_columns <= MAX_CURVED_COLUMNS)
        .then(|| newton::minimise(start.clone(), limits, slopes, |point| curvature_at(task, data, matrix, (options.l2, point))))
        .flatten();
    let minimum = by_curvature.unwrap_or_else(|| search(data, matrix, (options.l2, curvature), limits, start, slopes));
    let rounds = minimum.values.iter().zip(1..);
    let rounds = rounds.map(|(value, round)| Round { round, train_loss: value / total_weight, valid_loss: None }).collect();
    (minimum.point, rounds)
}

/// The minimum by slopes alone, for many columns, or where the curvature cannot be inverted.
///
/// The search runs over coefficients times the root of their curvature at the start: columns of rare texts curve a thousand times
/// less than columns of numbers, and a search that takes all alike crawls.
fn search(
    data: &TrainingData,
    matrix: &Matrix<'_>,
    (l2, curvature): (f64, f64),
    limits: Limits,
    mut start: Vec<f64>,
    slopes: impl Fn(&[f64], &mut [f64]) -> f64,
) -> Minimum {
    let n_columns = matrix.n_columns;
    let mut roots = vec![0.0; n_columns + 1];
    let mut total_weight = 0.0;
    for row in 0..data.n_rows() {
        matrix.add_squares(row, curvature * data.weight(row), &mut roots[..n_columns]);
        total_weight += data.weight(row);
    }
    roots[..n_columns].iter_mut().for_each(|sum| *sum = (*sum + l2).max(1e-12).sqrt());
    roots[n_columns] = (curvature * total_weight).max(1e-12).sqrt();
    start.iter_mut().zip(&roots).for_each(|(x, root)| *x *= root);
    let mut coefficients = vec![0.0; n_columns + 1];
    let mut minimum = lbfgs::minimise(start, limits, |point, gradient| {
        for ((coefficient, x), root) in coefficients.iter_mut().zip(point).zip(&roots) {
            *coefficient = x / root;
        }
        let sum = slopes(&coefficients, gradient);
        gradient.iter_mut().zip(&roots).for_each(|(slope, root)| *slope /= root);
        sum
    });
    minimum.point.iter_mut().zip(&roots).for_each(|(x, root)| *x /= root);
    minimum
}

/// The second derivatives of the losses and of the penalty.
fn curvature_at(task: Task, data: &TrainingData, matrix: &Matrix<'_>, (l2, point): (f64, &[f64])) -> Curvature {
    let (intercept, coefficients) = point.split_last().expect("the intercept is always there");
    let mut curvature = Curvature::new(point.len());
    for row in 0..data.n_rows() {
        let bend = match task {
            Task::BinaryClassification => {
                let answer = answer(task, matrix.product(row, coefficients) + intercept);
                answer * (1.0 - answer)
            }
            Task::Regression => 1.0,
        };
        matrix.add_products(row, bend * data.weight(row), &mut curvature);
    }
    for column in 0..coefficients.len() {
        curvature.row(column)[column] += l2;
    }
    curvature
}

/// The sum of the rows' losses and of the penalty, and how it changes with each coefficient.
fn loss_and_gradient(
    task: Task,
    data: &TrainingData,
    matrix: &Matrix<'_>,
    (l2, point): (f64, &[f64]),
    gradient: &mut [f64],
) -> f64 {
    let (intercept, coefficients) = point.split_last().expect("the intercept is always there");
    gradient.fill(0.0);
    let mut sum = 0.0;
    for (row, &label) in data.labels.iter().enumerate() {
        let score = matrix.product(row, coefficients) + intercept;
        let weight = data.weight(row);
        sum += weight * loss(task, label, score);
        let residual = weight * (answer(task, score) - label);
        matrix.add_row(row, residual, &mut gradient[..coefficients.len()]);
        gradient[coefficients.len()] += residual;
    }
    for (slope, coefficient) in gradient.iter_mut().zip(coefficients) {
        *slope += l2 * coefficient;
        sum += 0.5 * l2 * coefficient * coefficient;
    }
    sum
}
