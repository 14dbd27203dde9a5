//! Boosted trees by LightGBM (Ke et al. 2017, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree").

use std::collections::BTreeMap;

use lightgbm3::{Booster, Dataset};
use lw_core::{Error, Result};
use lw_onnx::Tree;
use lw_stats::Task;
use serde_json::json;

use super::Fit;
use super::export::{Export, loss};
use super::lightgbm_text::{BoostedTree, parse};
use super::quiet::quiet;
use crate::data::{TrainingData, Values};
use crate::definition::{Params, Trainer};
use crate::encoding::{TargetEncoding, encode};
use crate::failures::{TRAINER_FAILED, TRAINING_DATA};
use crate::params::{expect_known, integer, number};
use crate::trained::{N_PARITY_ROWS, Round, Trained, importances, outputs, prove};

/// LightGBM's parameters under its own names, except `n_rounds` (num_iterations) and `smoothing`: features of text are replaced by
/// the mean label of their text, drawn to the overall mean as if by that many rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    n_rounds: i64,
    learning_rate: f64,
    num_leaves: i64,
    max_depth: i64,
    min_data_in_leaf: i64,
    lambda_l1: f64,
    lambda_l2: f64,
    min_gain_to_split: f64,
    feature_fraction: f64,
    bagging_fraction: f64,
    bagging_freq: i64,
    early_stopping_rounds: i64,
    smoothing: f64,
}

const KNOWN: [&str; 13] = [
    "n_rounds",
    "learning_rate",
    "num_leaves",
    "max_depth",
    "min_data_in_leaf",
    "lambda_l1",
    "lambda_l2",
    "min_gain_to_split",
    "feature_fraction",
    "bagging_fraction",
    "bagging_freq",
    "early_stopping_rounds",
    "smoothing",
];

/// Only the leaves are rounded to 32 bits; every row must reach the same leaves.
const PARITY_LIMIT: f64 = 1e-6;
/// The version of LightGBM that the crate of its bindings builds, and theirs.
const LIGHTGBM: &str = "4.7.0";
const LIGHTGBM_BINDINGS: &str = "1.0.11";
/// How LightGBM's threads shall wait for each other: a variable that must be set before the process starts, since OpenMP reads it when it
/// is loaded. By default they wait by spinning, and on a machine with other work to do training takes ten times as long (measured:
/// 41 s instead of 3.7 s for 200 rounds over 84,000 rows on two busy cores). The result is the same.
pub const THREAD_WAIT: (&str, &str) = ("OMP_WAIT_POLICY", "passive");

/// Rows that the loss after each round is taken from.
const N_CURVE_ROWS: usize = 10_000;
/// The part of the rows, the newest, that early stopping looks at if nothing else is given.
const HELD_BACK: f64 = 0.2;

impl Options {
    pub fn read(params: &Params) -> Result<Self> {
        expect_known("gradient_boosting", params, &KNOWN)?;
        Ok(Self {
            n_rounds: integer(params, "n_rounds", 200, 1..=10_000)?,
            learning_rate: number(params, "learning_rate", 0.1, 1e-5..=1.0)?,
            num_leaves: integer(params, "num_leaves", 31, 2..=4096)?,
            max_depth: integer(params, "max_depth", -1, -1..=64)?,
            min_data_in_leaf: integer(params, "min_data_in_leaf", 20, 0..=1_000_000)?,
            lambda_l1: number(params, "lambda_l1", 0.0, 0.0..=1e9)?,
            lambda_l2: number(params, "lambda_l2", 0.0, 0.0..=1e9)?,
            min_gain_to_split: number(params, "min_gain_to_split", 0.0, 0.0..=1e9)?,
            feature_fraction: number(params, "feature_fraction", 1.0, 0.01..=1.0)?,
            bagging_fraction: number(params, "bagging_fraction", 1.0, 0.01..=1.0)?,
            bagging_freq: integer(params, "bagging_freq", 0, 0..=10_000)?,
            early_stopping_rounds: integer(params, "early_stopping_rounds", 0, 0..=10_000)?,
            smoothing: number(params, "smoothing", 20.0, 0.0..=1e9)?,
        })
    }

    fn params(&self) -> Params {
        BTreeMap::from(
            [
                ("n_rounds", json!(self.n_rounds)),
                ("learning_rate", json!(self.learning_rate)),
                ("num_leaves", json!(self.num_leaves)),
                ("max_depth", json!(self.max_depth)),
                ("min_data_in_leaf", json!(self.min_data_in_leaf)),
                ("lambda_l1", json!(self.lambda_l1)),
                ("lambda_l2", json!(self.lambda_l2)),
                ("min_gain_to_split", json!(self.min_gain_to_split)),
                ("feature_fraction", json!(self.feature_fraction)),
                ("bagging_fraction", json!(self.bagging_fraction)),
                ("bagging_freq", json!(self.bagging_freq)),
                ("early_stopping_rounds", json!(self.early_stopping_rounds)),
                ("smoothing", json!(self.smoothing)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }

    /// What LightGBM is told. The last five make its answer the same whatever the number of threads.
    fn for_lightgbm(&self, fit: Fit<'_>) -> serde_json::Value {
        let (objective, metric) = match fit.task {
            Task::BinaryClassification => ("binary", "binary_logloss"),
            Task::Regression => ("regression", "l2"),
        };
        let mut given = json!({
            "objective": objective, "metric": metric, "num_iterations": self.n_rounds, "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves, "max_depth": self.max_depth, "min_data_in_leaf": self.min_data_in_leaf,
            "lambda_l1": self.lambda_l1, "lambda_l2": self.lambda_l2, "min_gain_to_split": self.min_gain_to_split,
            "feature_fraction": self.feature_fraction, "bagging_fraction": self.bagging_fraction,
            "bagging_freq": self.bagging_freq, "num_threads": fit.n_threads.max(1), "verbosity": -1,
            "seed": fit.seed % (1 << 31), "deterministic": true, "force_row_wise": true,
        });
        if self.early_stopping_rounds > 0 {
            given["early_stopping_rounds"] = json!(self.early_stopping_rounds);
        }
        given
    }
}

pub(super) fn train(options: &Options, fit: Fit<'_>) -> Result<Trained> {
    // Early stopping needs rows that are newer than those it trains on; without any it holds some back.
    let held_back = match fit.valid {
        None if options.early_stopping_rounds > 0 => {
            let n_rows = fit.data.n_rows();
            Some(fit.data.split_at(n_rows - (n_rows as f64 * HELD_BACK) as usize))
        }
        _ => None,
    };
    let (data, valid) = match &held_back {
        Some((older, newer)) => (older, Some(newer)),
        None => (fit.data, fit.valid),
    };
    let encoder = Encoder::learn(data, options.smoothing);
    let train_rows = rows(&encoder.training_columns, data.n_rows());
    let valid_rows = valid.map(|valid| encoder.rows(valid));

    quiet()?;
    let booster = boost(options, fit, (data, &train_rows), valid.zip(valid_rows.as_deref()))?;
    let text = booster.save_string().map_err(failed)?;
    let trees = parse(&text)?;

    let mut export = Export::new(Trainer::GradientBoosting, data);
    let columns: Vec<_> = (0..data.features.len()).map(|feature| encoder.export(feature, &mut export)).collect();
    let features = export.graph.concat(&columns.iter().collect::<Vec<_>>());
    let exported: Vec<Tree> = trees.iter().map(BoostedTree::to_onnx).collect();
    let score = export.graph.tree_regressor(&features, &exported)?;
    let onnx = export.finish(fit.task, &score)?;

    let sample = data.slice(0..data.n_rows().min(N_PARITY_ROWS));
    let native = booster.predict(&encoder.rows(&sample), encoder.n_features(), true).map_err(failed)?;
    let mut gains = vec![0.0; data.features.len()];
    trees.iter().for_each(|tree| tree.add_gains(&mut gains));
    let libraries = [("lightgbm", LIGHTGBM), ("lightgbm3", LIGHTGBM_BINDINGS)];
    Ok(Trained {
        trainer: Trainer::GradientBoosting,
        parity: Some(prove(&onnx, &sample, &native, PARITY_LIMIT)?),
        onnx,
        inputs: fit.data.inputs(),
        outputs: outputs(fit.task),
        params: options.params(),
        seed: fit.seed,
        n_rows: data.n_rows() as u64,
        rounds: rounds(fit.task, &trees, (data, &train_rows), valid.zip(valid_rows.as_deref())),
        importances: importances(data.features.iter().map(|feature| feature.name().to_owned()).zip(gains)),
        libraries: libraries.map(|(name, version)| (name.to_owned(), version.to_owned())).into(),
    })
}

/// Rows with their numbers, row by row.
type Rows<'a> = (&'a TrainingData, &'a [f32]);

fn boost(options: &Options, fit: Fit<'_>, train: Rows<'_>, valid: Option<Rows<'_>>) -> Result<Booster> {
    let (data, numbers) = train;
    if data.n_rows() > i32::MAX as usize {
        return Err(TRAINING_DATA.error("LightGBM takes up to 2^31 rows").hint("train on a shorter `window`"));
    }
    let n_features = data.features.len() as i32;
    let mut dataset = Dataset::from_slice(numbers, &labels(data), n_features, true).map_err(failed)?;
    if let Some(weights) = &data.weights {
        dataset.set_weights(&weights.iter().map(|&weight| weight as f32).collect::<Vec<_>>()).map_err(failed)?;
    }
    let valid = match valid {
        Some((valid, numbers)) if valid.n_rows() > 0 => {
            let dataset = Dataset::from_slice_with_reference(numbers, &labels(valid), n_features, true, Some(&dataset));
            Some(dataset.map_err(failed)?)
        }
        _ => None,
    };
    Booster::train_with_valid(dataset, valid, &options.for_lightgbm(fit)).map_err(failed)
}

fn labels(data: &TrainingData) -> Vec<f32> {
    data.labels.iter().map(|&label| label as f32).collect()
}

pub(super) fn failed(error: lightgbm3::Error) -> Error {
    TRAINER_FAILED
        .error(format!("LightGBM cannot train: {error}"))
        .hint("check the parameters of the candidate, and that its features are not all constant")
        .cause(error)
}

/// The mean loss after each round, over at most some thousand rows spread evenly.
fn rounds(task: Task, trees: &[BoostedTree], train: Rows<'_>, valid: Option<Rows<'_>>) -> Vec<Round> {
    let train = curve(task, trees, train);
    let valid = valid.map(|valid| curve(task, trees, valid));
    let of_round = |(index, train_loss): (usize, f64)| {
        let valid_loss = valid.as_ref().and_then(|valid| valid.get(index).copied());
        Round { round: index as u32 + 1, train_loss, valid_loss }
    };
    train.into_iter().enumerate().map(of_round).collect()
}

fn curve(task: Task, trees: &[BoostedTree], (data, numbers): Rows<'_>) -> Vec<f64> {
    let n_features = data.features.len();
    let every = data.n_rows().div_ceil(N_CURVE_ROWS).max(1);
    let picked: Vec<usize> = (0..data.n_rows()).step_by(every).collect();
    if picked.is_empty() {
        return Vec::new();
    }
    let mut scores = vec![0.0; picked.len()];
    let after = |tree: &BoostedTree| {
        let mut sum = 0.0;
        for (score, &row) in scores.iter_mut().zip(&picked) {
            *score += tree.value(&numbers[row * n_features..(row + 1) * n_features]);
            sum += loss(task, data.labels[row], *score);
        }
        sum / picked.len() as f64
    };
    trees.iter().map(after).collect()
}

/// How the features become the numbers that trees compare.
struct Encoder {
    /// For features of text.
    encodings: Vec<Option<TargetEncoding>>,
    training_columns: Vec<Vec<f32>>,
}

impl Encoder {
    fn learn(data: &TrainingData, smoothing: f64) -> Self {
        let learn = |values: &Values| match values {
            Values::Numbers(numbers) => (None, numbers.clone()),
            Values::Texts { codes, texts } => {
                let (encoding, column) = encode(data, codes, texts, smoothing);
                (Some(encoding), column)
            }
        };
        let (encodings, training_columns) = data.features.iter().map(|feature| learn(&feature.values)).unzip();
        Self { encodings, training_columns }
    }

    fn n_features(&self) -> i32 {
        self.encodings.len() as i32
    }

    /// The numbers of other rows of the same features, row by row.
    fn rows(&self, data: &TrainingData) -> Vec<f32> {
        let column = |(values, encoding): (&Values, &Option<TargetEncoding>)| match (values, encoding) {
            (Values::Texts { codes, texts }, Some(encoding)) => encoding.column(codes, texts),
            (Values::Numbers(numbers), _) => numbers.clone(),
            (Values::Texts { codes, .. }, None) => vec![f32::NAN; codes.len()],
        };
        let columns: Vec<Vec<f32>> =
            data.features.iter().map(|feature| &feature.values).zip(&self.encodings).map(column).collect();
        rows(&columns, data.n_rows())
    }

    fn export(&self, feature: usize, export: &mut Export) -> lw_onnx::Value {
        match &self.encodings[feature] {
            Some(encoding) => export.encode(feature, encoding),
            None => export.inputs[feature].clone(),
        }
    }
}

fn rows(columns: &[Vec<f32>], n_rows: usize) -> Vec<f32> {
    let mut rows = vec![0.0; columns.len() * n_rows];
    for (index, column) in columns.iter().enumerate() {
        for (row, &number) in column.iter().enumerate() {
            rows[row * columns.len() + index] = number;
        }
    }
    rows
}
