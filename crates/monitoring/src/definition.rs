//! What a model's file says about its monitors.

use lw_core::{Error, Name, Result, Span, nearest};
use lw_stats::{DriftMethod, Metric, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failures::{BAD_MONITOR, UNKNOWN_MONITORED_FEATURE};

/// A monitor as users write it: one of `drift`, `metric` and `skew`, a window and a limit.
///
/// ```yaml
/// - {name: feature_drift, drift: psi, over: features, window: 7d, threshold: 0.25, for: 2}
/// - {name: quality, metric: log_loss, window: 7d, worse_than_reference_by: 0.05, min_labels: 500}
/// - {name: skew, skew: features, window: 1d, threshold: 0.01}
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
    /// Compare what predictions saw online with what the tables say was known then: `features` (every input) or a list of inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew: Option<Over>,
    /// Drift: the smallest distance that matters. Metric: the worst value that is still good. Skew: the share of predictions that
    /// may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Metric: how much worse than in the version's evaluation report is still good, in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worse_than_reference_by: Option<f64>,
    /// Metric: with fewer labels a window stays undecided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_labels: Option<u64>,
    /// Drift and skew: with fewer predictions a window stays undecided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_rows: Option<u64>,
    /// Skew: how far two numbers may be apart and count as equal, relative to the larger one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Skew: how many predictions of a window are computed again, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u64>,
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
const DEFAULT_SKEW_SHARE: f64 = 0.01;
const MAX_SAMPLE: u64 = 100_000;

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
    Skew(SkewWatch),
}

/// What a skew monitor compares, and how closely.
#[derive(Debug, Clone, PartialEq)]
pub struct SkewWatch {
    /// Inputs by name; none for all of them.
    pub inputs: Option<Vec<String>>,
    /// The share of predictions that may differ in an input.
    pub threshold: f64,
    pub tolerance: f64,
    pub sample: u64,
    pub min_rows: u64,
}

impl SkewWatch {
    /// How closely numbers are compared unless the monitor says otherwise.
    pub const TOLERANCE: f64 = 1e-6;
    /// How many predictions are computed again unless the monitor says otherwise.
    pub const SAMPLE: u64 = 1000;
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
        let watch = match (self.drift, self.metric, &self.skew) {
            (Some(method), None, None) => self.drift_watch(method, inputs)?,
            (None, Some(metric), None) => self.metric_watch(metric, task)?,
            (None, None, Some(over)) => self.skew_watch(over, inputs)?,
            (None, None, None) => {
                let hint = "write `drift: psi`, `metric: log_loss` or `skew: features`, for example";
                return Err(self.bad("watches nothing", hint));
            }
            (Some(_), Some(_), None) => {
                return Err(self.bad("watches drift and a metric at once", "make it two monitors, one for each"));
            }
            _ => return Err(self.bad("watches skew and something else at once", "make it two monitors, one for each")),
        };
        if self.skew.is_none() && (self.tolerance.is_some() || self.sample.is_some()) {
            return Err(
                self.bad("gives parts of a skew monitor", "leave out `tolerance` and `sample`, or write `skew: features`")
            );
        }
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
        self.known_inputs(&over, inputs)?;
        Ok(Watch::Drift { method, over, threshold, min_rows: self.min_rows.unwrap_or(DEFAULT_MIN_ROWS) })
    }

    fn skew_watch(&self, over: &Over, inputs: &[String]) -> Result<Watch> {
        if self.worse_than_reference_by.is_some() || self.min_labels.is_some() || self.over.is_some() {
            let hint = "leave out `worse_than_reference_by`, `min_labels` and `over`; `skew` itself says what is compared";
            return Err(self.bad("gives a skew monitor parts of another kind", hint));
        }
        self.known_inputs(over, inputs)?;
        let watched = match over {
            Over::Group(Group::Features) => None,
            Over::Features(features) => Some(features.clone()),
            Over::Group(Group::Predictions) => {
                return Err(self.bad("compares predictions with themselves", "write `skew: features`, or a list of inputs"));
            }
        };
        let threshold = self.threshold.unwrap_or(DEFAULT_SKEW_SHARE);
        if !(0.0..1.0).contains(&threshold) {
            return Err(self.bad("has a threshold that is no share", "write a number from 0 to below 1, like threshold: 0.01"));
        }
        let tolerance = self.tolerance.unwrap_or(SkewWatch::TOLERANCE);
        if !(0.0..1.0).contains(&tolerance) {
            return Err(
                self.bad("has a tolerance that is no share", "write a number from 0 to below 1, like tolerance: 0.000001")
            );
        }
        let sample = self.sample.unwrap_or(SkewWatch::SAMPLE);
        let min_rows = self.min_rows.unwrap_or(DEFAULT_MIN_ROWS).max(1);
        if !(1..=MAX_SAMPLE).contains(&sample) {
            return Err(
                self.bad("has a sample that is too small or too large", "write a number from 1 to 100000, like sample: 1000")
            );
        }
        Ok(Watch::Skew(SkewWatch { inputs: watched, threshold, tolerance, sample, min_rows }))
    }

    /// Whether a list names inputs of the model.
    fn known_inputs(&self, over: &Over, inputs: &[String]) -> Result<()> {
        let Over::Features(features) = over else { return Ok(()) };
        if features.is_empty() {
            return Err(
                self.bad("watches an empty list of features", "write over: features, or skew: features, to watch all of them")
            );
        }
        let Some(unknown) = features.iter().find(|feature| !inputs.contains(feature)) else { return Ok(()) };
        let known = inputs.iter().map(String::as_str);
        let hint = nearest(unknown, known.clone()).map_or_else(
            || format!("the model's inputs are {}", known.collect::<Vec<_>>().join(", ")),
            |name| format!("did you mean `{name}`?"),
        );
        let message = format!("monitor `{}` watches `{unknown}`, which is no input of the model", self.name);
        Err(UNKNOWN_MONITORED_FEATURE.error(message).hint(hint))
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
