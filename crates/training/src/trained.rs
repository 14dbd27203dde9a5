//! A trained model and the proof that its exported form answers like it.

use std::collections::BTreeMap;

use lw_core::{DataType, Field, Result, Schema};
use lw_onnx::{Evaluator, Model};
use lw_stats::Task;
use serde::{Deserialize, Serialize};

use crate::data::{TrainingData, Values};
use crate::definition::{Params, Trainer};
use crate::failures::EXPORT_DIFFERS;

/// A model with everything that is known about how it came to be, except where its rows came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    pub trainer: Trainer,
    /// The ONNX file. The same data, parameters and seed give the same bytes.
    pub onnx: Vec<u8>,
    /// What a caller gives, in order.
    pub inputs: Schema,
    /// What the model answers.
    pub outputs: Schema,
    /// All parameters, the defaults included.
    pub params: Params,
    pub seed: u64,
    pub n_rows: u64,
    /// The loss after each round or iteration: log loss, or half the squared error, a row.
    pub rounds: Vec<Round>,
    /// Largest first; they add up to 1. Empty if the trainer has no notion of it.
    pub importances: Vec<Importance>,
    /// How far the exported model is from the trained one. None if only the exported one is at hand.
    pub parity: Option<Parity>,
    /// Libraries that shaped the model, with their versions.
    pub libraries: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Round {
    pub round: u32,
    pub train_loss: f64,
    /// On rows that were held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_loss: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    pub feature: String,
    pub share: f64,
}

/// The largest difference between the trained and the exported model: absolute up to predictions of 1, relative above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    pub n_rows: u64,
    pub max_difference: f64,
    pub limit: f64,
}

impl Trained {
    /// The model's answer to each row: the probability of 1, or the predicted number.
    ///
    /// # Errors
    /// `onnx-unsupported` if only ONNX Runtime can run the model, which may be the case after a Python step.
    pub fn predict(&self, data: &TrainingData) -> Result<Vec<f64>> {
        predict(&Evaluator::compile(&Model::decode(&self.onnx)?)?, data)
    }
}

/// Rows that are given to the evaluator at once: small enough for its buffers to stay in the cache.
const N_ROWS_A_RUN: usize = 1024;

pub(crate) fn predict(evaluator: &Evaluator, data: &TrainingData) -> Result<Vec<f64>> {
    let mut scratch = evaluator.scratch();
    let mut predictions = Vec::with_capacity(data.n_rows());
    let is_matrix =
        evaluator.inputs().len() == 1 && evaluator.inputs()[0].width == data.features.len() && data.features.len() > 1;
    for start in (0..data.n_rows()).step_by(N_ROWS_A_RUN) {
        let rows = start..data.n_rows().min(start + N_ROWS_A_RUN);
        scratch.start(rows.len());
        if is_matrix {
            let columns: Vec<&[f32]> = data.features.iter().filter_map(|feature| feature.values.numbers()).collect();
            let cells = rows.clone().flat_map(|row| columns.iter().map(move |column| f64::from(column[row])));
            evaluator.give_numbers(&mut scratch, 0, cells)?;
        } else {
            for feature in &data.features {
                let index = evaluator.input(feature.name())?;
                match &feature.values {
                    Values::Numbers(numbers) => {
                        evaluator.give_numbers(&mut scratch, index, numbers[rows.clone()].iter().map(|&number| number.into()))?;
                    }
                    Values::Texts { codes, texts } => {
                        let given = codes[rows.clone()].iter().map(|&code| texts[code as usize].as_str());
                        evaluator.give_texts(&mut scratch, index, given)?;
                    }
                }
            }
        }
        evaluator.run(&mut scratch)?;
        predictions.extend(evaluator.scores(&scratch));
    }
    Ok(predictions)
}

impl Values {
    fn numbers(&self) -> Option<&[f32]> {
        match self {
            Self::Numbers(numbers) => Some(numbers),
            Self::Texts { .. } => None,
        }
    }
}

/// Rows that the exported model is tried on.
pub(crate) const N_PARITY_ROWS: usize = 10_000;

/// Runs the exported model on the rows that `native` are the trained model's answers to.
///
/// # Errors
/// `export-differs` if the two are further apart than `limit` on any row.
pub(crate) fn prove(onnx: &[u8], data: &TrainingData, native: &[f64], limit: f64) -> Result<Parity> {
    let evaluator = Evaluator::compile(&Model::decode(onnx)?)?;
    let exported = predict(&evaluator, data)?;
    let mut max_difference: f64 = if exported.len() == native.len() { 0.0 } else { f64::INFINITY };
    let mut worst = 0;
    for (row, (exported, native)) in exported.iter().zip(native).enumerate() {
        let difference = (exported - native).abs() / native.abs().max(1.0);
        let difference = if difference.is_nan() { f64::INFINITY } else { difference };
        if difference > max_difference {
            (max_difference, worst) = (difference, row);
        }
    }
    if max_difference > limit {
        let message = format!(
            "the exported model differs from the trained one by {max_difference:.3e} in row {worst}; {limit:.0e} is allowed"
        );
        return Err(EXPORT_DIFFERS
            .error(message)
            .hint("look for features of huge magnitude, and scale or bound them in the model's `expressions`"));
    }
    Ok(Parity { n_rows: native.len() as u64, max_difference, limit })
}

/// The outputs that every native model has.
pub(crate) fn outputs(task: Task) -> Schema {
    let field = |name: &str, data_type| Field { name: name.to_owned(), data_type, nullable: false };
    match task {
        Task::BinaryClassification => Schema(vec![field("label", DataType::Int64), field("probabilities", DataType::Float32)]),
        Task::Regression => Schema(vec![field("prediction", DataType::Float32)]),
    }
}

/// Shares of a total, largest first; features of equal share by name.
pub(crate) fn importances(by_feature: impl IntoIterator<Item = (String, f64)>) -> Vec<Importance> {
    let mut list: Vec<Importance> = by_feature.into_iter().map(|(feature, share)| Importance { feature, share }).collect();
    let total: f64 = list.iter().map(|importance| importance.share).sum();
    if total > 0.0 {
        list.iter_mut().for_each(|importance| importance.share /= total);
    }
    list.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.feature.cmp(&b.feature)));
    list
}
