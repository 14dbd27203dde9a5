//! What parameters a study may choose.

use std::collections::BTreeMap;

use lw_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failures::TRAIN_DEFINITION;

/// The searched parameters by name.
pub type Space = BTreeMap<String, Distribution>;

/// The values of one parameter, and how likely each is before anything is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// One of these, each as likely: `{choice: [15, 31, 63]}`.
    Choice(Vec<Value>),
    /// A number between the two: `{uniform: [0.5, 1.0]}`.
    Uniform([f64; 2]),
    /// A number between the two, its logarithm uniform: `{log: [0.01, 0.3]}`.
    Log([f64; 2]),
    /// A whole number from the first to the second: `{int: [2, 12]}`.
    Int([i64; 2]),
}

impl Distribution {
    pub(super) fn check(&self, name: &str) -> Result<()> {
        let is_fine = match self {
            Self::Choice(values) => !values.is_empty(),
            Self::Uniform([low, high]) => low.is_finite() && high.is_finite() && low < high,
            Self::Log([low, high]) => high.is_finite() && *low > 0.0 && low < high,
            Self::Int([low, high]) => low < high,
        };
        if is_fine {
            return Ok(());
        }
        let error = TRAIN_DEFINITION.error(format!("the space of `{name}` is empty or upside down"));
        Err(error
            .hint("write {choice: [a, b]}, {uniform: [low, high]}, {log: [low, high]} with low above 0, or {int: [low, high]}"))
    }

    /// The values at the ends of the space, or all choices.
    pub(super) fn ends(&self) -> Vec<Value> {
        match self {
            Self::Choice(values) => values.clone(),
            Self::Uniform(ends) | Self::Log(ends) => ends.iter().map(|&end| json!(end)).collect(),
            Self::Int(ends) => ends.iter().map(|&end| json!(end)).collect(),
        }
    }

    /// The value at a position from 0 to 1 of a space of numbers; of choices the one at that share of the list.
    pub(super) fn at(&self, position: f64) -> Value {
        match self {
            Self::Choice(values) => {
                let index = (position * values.len() as f64) as usize;
                values.get(index.min(values.len().saturating_sub(1))).cloned().unwrap_or(Value::Null)
            }
            Self::Uniform([low, high]) => json!(low + position * (high - low)),
            Self::Log([low, high]) => json!((low.ln() + position * (high.ln() - low.ln())).exp().clamp(*low, *high)),
            Self::Int([low, high]) => {
                let n_values = (high - low + 1) as f64;
                json!((low + (position * n_values) as i64).min(*high))
            }
        }
    }

    /// Where a value stands between 0 and 1: the inverse of `at`.
    pub(super) fn position(&self, value: &Value) -> Option<f64> {
        match self {
            Self::Choice(values) => {
                let index = values.iter().position(|choice| choice == value)?;
                Some((index as f64 + 0.5) / values.len() as f64)
            }
            Self::Uniform([low, high]) => Some((value.as_f64()? - low) / (high - low)),
            Self::Log([low, high]) => Some((value.as_f64()?.ln() - low.ln()) / (high.ln() - low.ln())),
            Self::Int([low, high]) => Some(((value.as_i64()? - low) as f64 + 0.5) / (high - low + 1) as f64),
        }
    }
}
