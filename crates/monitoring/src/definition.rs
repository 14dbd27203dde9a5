//! What a model's file says about its monitors.

use lw_core::{Error, Name, Result, Span, nearest};
use lw_stats::{DriftMethod, Metric, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failures::{BAD_MONITOR, UNKNOWN_MONITORED_FEATURE};

/// A monitor as users write it: either `drift` or `metric`, a window and a limit.
///
/// ```yaml
/// - {name: feature_drift, drift: psi, over: features, window: 7d, threshold: 0.25, for: 2}
/// - {name: quality, metric: log_loss, window: 7d, worse_than_reference_by: 0.05, min_labels: 500}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorDefinition {
    pub name: Name,
    /// Compare distributions with the training set by this distance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftMethod>,
    /// What to compare: `features` (the default), `predictions` or a list of features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// Measure predictions against the labels that have arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Drift: the smallest distance that matters. Metric: the worst value that is still good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Metric: how much worse than in the version's evaluation report is still good, in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worse_than_reference_by: Option<f64>,
    /// Metric: with fewer labels a window stays undecided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_labels: Option<u64>,
    /// Drift: with fewer predictions a window stays undecided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_rows: Option<u64>,
    /// How much time a window covers.
    pub window: Span,
    /// How often a window ends; as long as a window unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// How many windows in a row must be bad before the alert fires.
    #[serde(rename = "for", default = "one")]
    pub n_windows: u32,
}

fn one() -> u32 {
    1
}

const DEFAULT_MIN_ROWS: u64 = 100;
const DEFAULT_MIN_LABELS: u64 = 100;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Over {
    Group(Group),
    Features(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Every input of the model.
    Features,
    /// What the model answers.
    Predictions,
}

/// A monitor that makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    pub name: Name,
    pub watch: Watch,
    pub window: Span,
    pub every: Span,
    /// Bad windows in a row before the alert fires.
    pub n_windows: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Watch {
    Drift { method: DriftMethod, over: Over, threshold: f64, min_rows: u64 },
    Metric { metric: Metric, limit: Limit, min_labels: u64 },
}

/// How bad a metric may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    WorseThanReferenceBy(f64),
    WorseThan(f64),
}

impl MonitorDefinition {
    /// The monitor that this definition means for a model with these inputs.
    ///
    /// # Errors
    /// `bad-monitor`, or `unknown-monitored-feature` with the nearest input as a hint.
    pub fn check(&self, task: Task, inputs: &[String]) -> Result<Monitor> {
        let watch = match (self.drift, self.metric) {
            (Some(method), None) => self.drift_watch(method, inputs)?,
            (None, Some(metric)) => self.metric_watch(metric, task)?,
            (None, None) => return Err(self.bad("watches nothing", "write `drift: psi` or `metric: log_loss`, for example")),
            (Some(_), Some(_)) => {
                return Err(self.bad("watches drift and a metric at once", "make it two monitors, one for each"));
            }
        };
        let every = self.every.unwrap_or(self.window);
        if self.window <= Span::ZERO || every <= Span::ZERO {
            return Err(self.bad("has a window without length", "write a length of time, like window: 7d"));
        }
        if self.n_windows == 0 {
            return Err(self.bad("fires after no window at all", "write for: 1 to fire after the first bad window"));
        }
        Ok(Monitor { name: self.name.clone(), watch, window: self.window, every, n_windows: self.n_windows })
    }

    fn drift_watch(&self, method: DriftMethod, inputs: &[String]) -> Result<Watch> {
        if self.worse_than_reference_by.is_some() || self.min_labels.is_some() {
            let hint = "leave out `worse_than_reference_by` and `min_labels`: distributions need no labels";
            return Err(self.bad("gives a drift monitor limits of a metric", hint));
        }
        let threshold = self.threshold.unwrap_or(method.default_threshold());
        if !(threshold.is_finite() && threshold >= 0.0) {
            return Err(self.bad("has a threshold that is no distance", "write a number from 0 on, like threshold: 0.25"));
        }
        let over = self.over.clone().unwrap_or(Over::Group(Group::Features));
        if let Over::Features(features) = &over {
            if features.is_empty() {
                return Err(self.bad("watches an empty list of features", "write over: features to watch all of them"));
            }
            if let Some(unknown) = features.iter().find(|feature| !inputs.contains(feature)) {
                let known = inputs.iter().map(String::as_str);
                let hint = nearest(unknown, known.clone()).map_or_else(
                    || format!("the model's inputs are {}", known.collect::<Vec<_>>().join(", ")),
                    |name| format!("did you mean `{name}`?"),
                );
                let message = format!("monitor `{}` watches `{unknown}`, which is no input of the model", self.name);
                return Err(UNKNOWN_MONITORED_FEATURE.error(message).hint(hint));
            }
        }
        Ok(Watch::Drift { method, over, threshold, min_rows: self.min_rows.unwrap_or(DEFAULT_MIN_ROWS) })
    }

    fn metric_watch(&self, metric: Metric, task: Task) -> Result<Watch> {
        if self.over.is_some() || self.min_rows.is_some() {
            return Err(self.bad("gives a metric monitor parts of a drift monitor", "leave out `over` and `min_rows`"));
        }
        if metric.task() != task {
            let hint = match task {
                Task::BinaryClassification => "watch log_loss, auc or brier, for example",
                Task::Regression => "watch rmse, mae or r2",
            };
            return Err(self.bad(&format!("watches {metric}, which does not measure this task"), hint));
        }
        let limit = match (self.threshold, self.worse_than_reference_by) {
            (Some(threshold), None) if threshold.is_finite() => Limit::WorseThan(threshold),
            (None, Some(margin)) if margin.is_finite() && margin >= 0.0 => Limit::WorseThanReferenceBy(margin),
            _ => {
                let hint = "write one of `threshold: NUMBER` and `worse_than_reference_by: NUMBER` (0 or more)";
                return Err(self.bad("does not say what is too bad", hint));
            }
        };
        Ok(Watch::Metric { metric, limit, min_labels: self.min_labels.unwrap_or(DEFAULT_MIN_LABELS).max(1) })
    }

    fn bad(&self, what: &str, hint: &str) -> Error {
        BAD_MONITOR.error(format!("monitor `{}` {what}", self.name)).hint(hint)
    }
}
