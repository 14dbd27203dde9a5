//! What a model version was trained on and how well it did: the yardstick of its monitors.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type};
use lw_core::{Digest, Result, canonical_json};
use lw_stats::{Metric, ReferenceHistogram};
use serde::{Deserialize, Serialize};

use crate::failures::{REFERENCE_UNREADABLE, UNMONITORED_TYPE};

/// Distributions of inputs and predictions, and the metrics of the evaluation report. Stored as an artifact.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reference {
    pub features: BTreeMap<String, ReferenceHistogram>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<ReferenceHistogram>,
    #[serde(default)]
    pub metrics: BTreeMap<Metric, f64>,
}

impl Reference {
    /// Adds a column of the training set. Texts are categories; numbers, booleans, dates and times are numbers.
    ///
    /// # Errors
    /// `unmonitored-type` for lists and structs, `empty-reference` for a column without rows.
    pub fn feature(mut self, name: impl Into<String>, values: &dyn Array) -> Result<Self> {
        let name = name.into();
        let histogram = if is_text(values.data_type()) {
            let texts = to_texts(&name, values)?;
            ReferenceHistogram::from_texts(texts.as_string::<i32>().iter())
        } else {
            ReferenceHistogram::from_numbers(&to_numbers(&name, values)?)
        };
        self.features.insert(name.clone(), histogram.map_err(|error| error.context(format!("feature `{name}`")))?);
        Ok(self)
    }

    /// Adds the model's predictions for rows that it was not trained on, such as the holdout.
    ///
    /// # Errors
    /// `empty-reference` without rows.
    pub fn predictions(mut self, predictions: &[f64]) -> Result<Self> {
        self.predictions = Some(ReferenceHistogram::from_numbers(predictions).map_err(|error| error.context("predictions"))?);
        Ok(self)
    }

    /// Adds a metric of the version's evaluation report.
    #[must_use]
    pub fn metric(mut self, metric: Metric, value: f64) -> Self {
        self.metrics.insert(metric, value);
        self
    }

    /// The artifact: canonical JSON, so that equal references have equal digests.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical_json(self).into_bytes()
    }

    /// Reads the artifact.
    ///
    /// # Errors
    /// `reference-unreadable` if it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            let digest = Digest::of(bytes).short();
            REFERENCE_UNREADABLE
                .error(format!("artifact {digest} is not the reference of a model version"))
                .hint("train the model again to make its reference anew")
                .cause(error)
        })
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The column as numbers; missing values are NaN.
pub(crate) fn to_numbers(name: &str, values: &dyn Array) -> Result<Vec<f64>> {
    let is_time = values.data_type().is_temporal();
    let whole = if is_time { cast(name, values, &DataType::Int64)? } else { arrow::array::make_array(values.to_data()) };
    let numbers = cast(name, &whole, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    if numbers.null_count() == 0 {
        return Ok(numbers.values().to_vec());
    }
    Ok(numbers.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// The column as a `StringArray`.
pub(crate) fn to_texts(name: &str, values: &dyn Array) -> Result<ArrayRef> {
    cast(name, values, &DataType::Utf8)
}

fn cast(name: &str, values: &dyn Array, to: &DataType) -> Result<ArrayRef> {
    arrow::compute::cast(values, to).map_err(|error| {
        UNMONITORED_TYPE
            .error(format!("feature `{name}` has the type {}, which has no distribution to compare", values.data_type()))
            .hint("monitor features that are numbers, booleans, times or texts")
            .cause(error)
    })
}
