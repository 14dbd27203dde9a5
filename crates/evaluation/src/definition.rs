//! What a model's file says about its evaluation.

use lw_core::Result;
use lw_stats::{Metric, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failures::{BAD_EVALUATION, METRIC_OF_ANOTHER_TASK};

/// The `evaluate` part of a model's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluateDefinition {
    pub metrics: Vec<Metric>,
    /// Columns of which every value gets metrics of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// Values with fewer rows are measured together as `other`.
    #[serde(default = "default_min_segment_rows")]
    pub min_segment_rows: u64,
    /// Probabilities from here on count as "yes" for accuracy, precision, recall and F1.
    #[serde(default = "default_threshold")]
    pub threshold: f64,
    /// The share of samples whose confidence interval holds the true value.
    #[serde(default = "default_confidence")]
    pub confidence: f64,
}

fn default_min_segment_rows() -> u64 {
    200
}

fn default_threshold() -> f64 {
    0.5
}

fn default_confidence() -> f64 {
    0.95
}

impl EvaluateDefinition {
    /// These metrics, overall only, with everything else as it is by default.
    pub fn new(metrics: Vec<Metric>) -> Self {
        Self {
            metrics,
            segments: Vec::new(),
            min_segment_rows: default_min_segment_rows(),
            threshold: default_threshold(),
            confidence: default_confidence(),
        }
    }

    /// Whether this evaluation makes sense for the task.
    ///
    /// # Errors
    /// `bad-evaluation` or `metric-of-another-task`, each with what to write instead.
    pub fn check(&self, task: Task) -> Result<()> {
        if self.metrics.is_empty() {
            let hint = format!("name at least one of {}", names(task));
            return Err(BAD_EVALUATION.error("the evaluation has no metrics").hint(hint));
        }
        if let Some(metric) = self.metrics.iter().find(|metric| metric.task() != task) {
            let message = format!("{metric} does not measure a {}", task_name(task));
            return Err(METRIC_OF_ANOTHER_TASK.error(message).hint(format!("the metrics for it are {}", names(task))));
        }
        if let Some(name) = repeated(self.metrics.iter().map(|metric| metric.name())) {
            return Err(BAD_EVALUATION.error(format!("metric {name} stands twice")).hint("name each metric once"));
        }
        if let Some(name) = repeated(self.segments.iter().map(String::as_str)) {
            return Err(BAD_EVALUATION.error(format!("segment `{name}` stands twice")).hint("name each column once"));
        }
        for (name, value) in [("threshold", self.threshold), ("confidence", self.confidence)] {
            if !(value > 0.0 && value < 1.0) {
                let message = format!("{name} is {value}, not a share between 0 and 1");
                return Err(BAD_EVALUATION.error(message).hint(format!("write {name}: 0.5, for example")));
            }
        }
        Ok(())
    }
}

fn names(task: Task) -> String {
    let metrics = Metric::ALL.iter().filter(|metric| metric.task() == task).map(|metric| metric.name());
    metrics.collect::<Vec<_>>().join(", ")
}

fn task_name(task: Task) -> &'static str {
    match task {
        Task::BinaryClassification => "binary classification",
        Task::Regression => "regression",
    }
}

fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    let mut names = names;
    names.find(|name| !seen.insert(*name))
}
