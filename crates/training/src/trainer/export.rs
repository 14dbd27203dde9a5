//! What the exports of all trainers have in common: inputs by name, and the outputs of a task.

use lw_core::Result;
use lw_onnx::{Element, GraphBuilder, Value};
use lw_stats::Task;

use crate::data::{Feature, TrainingData, Values};
use crate::definition::Trainer;
use crate::encoding::TargetEncoding;

/// A graph whose inputs are the features, in order.
pub(super) struct Export {
    pub graph: GraphBuilder,
    pub inputs: Vec<Value>,
}

impl Export {
    pub fn new(trainer: Trainer, data: &TrainingData) -> Self {
        let mut graph = GraphBuilder::new(trainer.name());
        graph.metadata("loopwright.trainer", trainer.name());
        let element = |feature: &Feature| match feature.values {
            Values::Numbers(_) => Element::Float,
            Values::Texts { .. } => Element::Text,
        };
        let inputs = data.features.iter().map(|feature| graph.input(feature.name(), element(feature), 1)).collect();
        Self { graph, inputs }
    }

    /// The column of numbers that an encoding makes of a feature of texts.
    pub fn encode(&mut self, feature: usize, encoding: &TargetEncoding) -> Value {
        let numbers: Vec<(String, f32)> = encoding.texts.iter().cloned().zip(encoding.values.iter().copied()).collect();
        self.graph.encode_texts(&self.inputs[feature], &numbers, encoding.default)
    }

    /// Names the outputs of the task, given the log-odds or the predicted number.
    pub fn finish(mut self, task: Task, score: &Value) -> Result<Vec<u8>> {
        match task {
            Task::BinaryClassification => {
                let (label, probabilities) = self.graph.two_classes(score);
                self.graph.output("label", &label, Element::Int64, None);
                self.graph.output("probabilities", &probabilities, Element::Float, Some(2));
            }
            Task::Regression => self.graph.output("prediction", score, Element::Float, Some(1)),
        }
        Ok(self.graph.finish()?.encode())
    }
}

/// 1 / (1 + exp(-x)), without overflow.
pub(super) fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        return 1.0 / (1.0 + (-x).exp());
    }
    let e = x.exp();
    e / (1.0 + e)
}

/// The loss of a score: log loss of the log-odds, or half the squared error.
pub(super) fn loss(task: Task, label: f64, score: f64) -> f64 {
    match task {
        // log(1 + exp(score)) - label * score, shifted so that exp never overflows.
        Task::BinaryClassification => score.max(0.0) - label * score + (-score.abs()).exp().ln_1p(),
        Task::Regression => 0.5 * (score - label).powi(2),
    }
}

/// The answer that a score stands for.
pub(super) fn answer(task: Task, score: f64) -> f64 {
    match task {
        Task::BinaryClassification => logistic(score),
        Task::Regression => score,
    }
}
