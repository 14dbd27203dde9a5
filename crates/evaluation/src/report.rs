//! What an evaluation found.

use std::collections::BTreeMap;

use lw_core::{Digest, Result};
use lw_stats::{BootstrapOptions, CalibrationBin, Interval, Metric, Task, calibration_curve};
use serde::{Deserialize, Serialize};

use crate::{EvaluateDefinition, EvaluationData, comparison, markdown, measurement, segment};

/// The evaluation of a model. Serializes to plain JSON; [`Report::digest`] names its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub task: Task,
    pub n_rows: u64,
    /// Rows whose label is 1; classification only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_positive: Option<u64>,
    /// Where a probability became a decision; classification only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The share of samples whose interval holds the true value.
    pub confidence: f64,
    /// The resamples of all intervals and comparisons follow from it.
    pub seed: u64,
    pub metrics: BTreeMap<Metric, Measurement>,
    /// By column as the definition lists them, then by value; `other` last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<Comparison>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Comparison>,
    /// Whether the model is the baseline itself, because no other candidate was better.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_baseline: bool,
    /// Predicted probabilities against observed rates; classification only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<CalibrationBin>,
}

/// A metric's value, or why it has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
}

/// The rows in which a column has one value, or one of several rare ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub column: String,
    /// The value; `other` if `is_pooled`.
    pub value: String,
    pub n_rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_positive: Option<u64>,
    /// Whether these are the values with too few rows for metrics of their own.
    pub is_pooled: bool,
    /// How many values are in it: 1 unless pooled.
    pub n_values: u64,
    /// Whether it has fewer rows than a segment needs, even pooled: too few to judge a model by.
    pub is_small: bool,
    pub metrics: BTreeMap<Metric, Measurement>,
}

/// This model against another one on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The other model, such as `late_arrival@3`.
    pub against: String,
    pub n_rows: u64,
    pub metrics: BTreeMap<Metric, Difference>,
    /// Metrics that have no value for one of the two, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub undefined: BTreeMap<Metric, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The metric of this model.
    pub candidate: f64,
    /// The metric of the other model.
    pub reference: f64,
    /// How much better this model is, in the metric's unit: negative if it is worse.
    pub improvement: f64,
    /// Of the improvement, by paired bootstrap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Two-sided: how easily two equally good models show such a difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
}

/// Measures predictions as the definition asks.
///
/// A metric without a value, such as the AUC of a segment with one outcome, stands in the report with the reason.
///
/// # Errors
/// `bad-evaluation`, `metric-of-another-task`, `evaluation-rows-differ`; `bad-metric-input` for labels or predictions that
/// cannot be measured; `undefined-metric` if there are no rows at all.
#[tracing::instrument(level = "debug", skip_all)]
pub fn evaluate(definition: &EvaluateDefinition, data: &EvaluationData<'_>, seed: u64) -> Result<Report> {
    definition.check(data.task)?;
    data.check()?;
    let (labels, predictions) = (data.labels, data.predictions);
    let is_binary = data.task == Task::BinaryClassification;
    let options = BootstrapOptions::for_rows(labels.len(), definition.confidence, definition.threshold, seed);
    let metrics = measurement::measure(&definition.metrics, labels, predictions, &options)?;
    let compare = |rival| comparison::compare(definition, data, rival, &options);
    Ok(Report {
        task: data.task,
        n_rows: labels.len() as u64,
        n_positive: is_binary.then(|| measurement::n_positive(labels)),
        threshold: is_binary.then_some(definition.threshold),
        confidence: definition.confidence,
        seed,
        metrics,
        segments: segment::measure_all(definition, data, &options)?,
        champion: data.champion.as_ref().map(compare).transpose()?,
        baseline: data.baseline.as_ref().map(compare).transpose()?,
        is_baseline: data.is_baseline,
        calibration: if is_binary { calibration_curve(labels, predictions) } else { Vec::new() },
    })
}

impl Report {
    /// The overall value of a metric, if it was asked for and has one.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.metrics.get(&metric)?.value
    }

    /// The segments of one column.
    pub fn segments_of<'a>(&'a self, column: &'a str) -> impl Iterator<Item = &'a Segment> {
        self.segments.iter().filter(move |segment| segment.column == column)
    }

    /// The digest of the report's canonical JSON.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// The report for people: tables in Markdown.
    pub fn to_markdown(&self) -> String {
        markdown::render(self)
    }
}
