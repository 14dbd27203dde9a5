//! The metrics by name: what they need, which direction is better, how they are computed.

use std::fmt;

use lw_core::{Result, nearest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failures::{METRIC_INPUT, UNDEFINED_METRIC, UNKNOWN_METRIC};
use crate::{Confusion, classification, ranking, regression};

/// What a model answers: the probability that something is true, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    BinaryClassification,
    Regression,
}

/// Which values of a metric are the good ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    HigherIsBetter,
    LowerIsBetter,
}

/// A metric of labels against predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Area under the ROC curve: how often a positive row is ranked above a negative one, ties counting one half.
    Auc,
    /// Average precision, the step-wise area under the precision–recall curve.
    AveragePrecision,
    /// Mean negative log likelihood, natural logarithm.
    LogLoss,
    /// Mean squared distance of the probability from the outcome.
    Brier,
    /// Expected calibration error over ten bins of equal width.
    Ece,
    Accuracy,
    Precision,
    Recall,
    F1,
    /// Root mean squared error, in the label's unit.
    Rmse,
    /// Mean absolute error, in the label's unit.
    Mae,
    /// Share of the label's variance that the predictions explain.
    R2,
}

/// Probabilities from here on count as "yes" unless the caller says otherwise.
const DEFAULT_THRESHOLD: f64 = 0.5;

impl Metric {
    pub const ALL: &[Self] = &[
        Self::Auc,
        Self::AveragePrecision,
        Self::LogLoss,
        Self::Brier,
        Self::Ece,
        Self::Accuracy,
        Self::Precision,
        Self::Recall,
        Self::F1,
        Self::Rmse,
        Self::Mae,
        Self::R2,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auc => "auc",
            Self::AveragePrecision => "average_precision",
            Self::LogLoss => "log_loss",
            Self::Brier => "brier",
            Self::Ece => "ece",
            Self::Accuracy => "accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "f1",
            Self::Rmse => "rmse",
            Self::Mae => "mae",
            Self::R2 => "r2",
        }
    }

    /// The metric of a name, which is what [`Metric::name`] gives.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(metric) = Self::ALL.iter().find(|metric| metric.name() == text) {
            return Ok(*metric);
        }
        let names = Self::ALL.iter().map(|metric| metric.name());
        let shown: String = text.chars().take(80).collect();
        let hint = match nearest(&shown, names.clone()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the metrics are {}", names.collect::<Vec<_>>().join(", ")),
        };
        Err(UNKNOWN_METRIC.error(format!("`{shown}` is not a metric")).hint(hint))
    }

    pub fn task(self) -> Task {
        match self {
            Self::Rmse | Self::Mae | Self::R2 => Task::Regression,
            _ => Task::BinaryClassification,
        }
    }

    pub fn direction(self) -> Direction {
        match self {
            Self::LogLoss | Self::Brier | Self::Ece | Self::Rmse | Self::Mae => Direction::LowerIsBetter,
            _ => Direction::HigherIsBetter,
        }
    }

    /// How much better `value` is than `other` in the metric's own unit: positive if better, negative if worse.
    pub fn improvement(self, value: f64, other: f64) -> f64 {
        match self.direction() {
            Direction::HigherIsBetter => value - other,
            Direction::LowerIsBetter => other - value,
        }
    }

    pub fn is_better(self, value: f64, than: f64) -> bool {
        self.improvement(value, than) > 0.0
    }

    /// Whether the metric looks at decisions (probability against a threshold) and not at the probabilities themselves.
    pub fn uses_threshold(self) -> bool {
        matches!(self, Self::Accuracy | Self::Precision | Self::Recall | Self::F1)
    }

    /// The metric of predictions against labels, row by row; decisions are made at 0.5.
    ///
    /// # Errors
    /// `bad-metric-input` if the rows cannot be measured by it, `undefined-metric` if it has no value on them.
    pub fn compute(self, labels: &[f64], predictions: &[f64]) -> Result<f64> {
        self.compute_at(DEFAULT_THRESHOLD, labels, predictions)
    }

    /// Like [`Metric::compute`], with the threshold at which a probability becomes a decision (`probability >= threshold`).
    pub fn compute_at(self, threshold: f64, labels: &[f64], predictions: &[f64]) -> Result<f64> {
        self.check_rows(labels, predictions)?;
        let value = match self {
            Self::Auc => return ranking::auc(labels, predictions),
            Self::AveragePrecision => return classification::average_precision(labels, predictions),
            Self::LogLoss => classification::log_loss(labels, predictions),
            Self::Brier => classification::brier(labels, predictions),
            Self::Ece => classification::calibration_error(labels, predictions),
            Self::Accuracy | Self::Precision | Self::Recall | Self::F1 => {
                return Confusion::count(labels, predictions, threshold).metric(self);
            }
            Self::Rmse => regression::root_mean_squared_error(labels, predictions),
            Self::Mae => regression::mean_absolute_error(labels, predictions),
            Self::R2 => return regression::r_squared(labels, predictions),
        };
        Ok(value)
    }

    /// Whether every row is one that this metric can measure.
    pub(crate) fn check_rows(self, labels: &[f64], predictions: &[f64]) -> Result<()> {
        if labels.len() != predictions.len() {
            let message = format!("{} labels cannot be compared with {} predictions", labels.len(), predictions.len());
            return Err(METRIC_INPUT.error(message).hint("hand in one prediction for each label, in the same order"));
        }
        if labels.is_empty() {
            return Err(self.undefined("there are no labelled rows"));
        }
        match self.task() {
            Task::Regression => check_all(labels, f64::is_finite, "label", "a finite number")?,
            Task::BinaryClassification => check_all(labels, |label| label == 0.0 || label == 1.0, "label", "0 or 1")?,
        }
        match self {
            Self::Auc | Self::AveragePrecision | Self::Rmse | Self::Mae | Self::R2 => {
                check_all(predictions, f64::is_finite, "prediction", "a finite number")
            }
            _ => check_all(predictions, |p| (0.0..=1.0).contains(&p), "prediction", "a probability between 0 and 1"),
        }
    }

    pub(crate) fn undefined(self, reason: &str) -> lw_core::Error {
        UNDEFINED_METRIC
            .error(format!("{self} has no value: {reason}"))
            .hint("measure over more rows, or over a segment that holds both outcomes")
    }
}

/// Finds the first bad value only when there is one, so that the good case is one branch-free pass.
fn check_all(values: &[f64], is_good: impl Fn(f64) -> bool, what: &str, wanted: &str) -> Result<()> {
    if values.iter().fold(true, |good, value| good & is_good(*value)) {
        return Ok(());
    }
    let (row_index, value) = values.iter().enumerate().find(|(_, value)| !is_good(**value)).unwrap_or((0, &f64::NAN));
    Err(METRIC_INPUT
        .error(format!("the {what} of row {row_index} is {value}, not {wanted}"))
        .hint(format!("leave rows without a usable {what} out of the measurement")))
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Metric {
    type Err = lw_core::Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_by_its_name() {
        for metric in Metric::ALL {
            assert_eq!(Metric::parse(metric.name()).unwrap(), *metric);
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
        }
        let error = Metric::parse("log_los").unwrap_err();
        assert!(error.is(UNKNOWN_METRIC));
        assert_eq!(error.hint_text(), Some("did you mean `log_loss`?"));
        assert!(Metric::parse("speed").unwrap_err().hint_text().unwrap().contains("average_precision"));
    }

    #[test]
    fn better_follows_the_direction() {
        assert!(Metric::Auc.is_better(0.8, 0.7));
        assert!(Metric::LogLoss.is_better(0.4, 0.5));
        assert!(!Metric::LogLoss.is_better(0.5, 0.5));
        assert!((Metric::Rmse.improvement(1.0, 3.0) - 2.0).abs() < 1e-15);
    }

    #[track_caller]
    fn check(metric: Metric, labels: &[f64], predictions: &[f64], want: lw_core::Failure) {
        let error = metric.compute(labels, predictions).unwrap_err();
        assert!(error.is(want), "{error:?}");
        assert!(error.hint_text().is_some());
    }

    #[test]
    fn rows_that_cannot_be_measured_are_refused() {
        for metric in Metric::ALL {
            check(*metric, &[], &[], UNDEFINED_METRIC);
            check(*metric, &[0.0, 1.0], &[0.5], METRIC_INPUT);
            check(*metric, &[0.0, 1.0], &[0.5, f64::NAN], METRIC_INPUT);
            check(*metric, &[0.0, f64::NAN], &[0.5, 0.5], METRIC_INPUT);
            check(*metric, &[0.0, f64::INFINITY], &[0.5, 0.5], METRIC_INPUT);
        }
        check(Metric::LogLoss, &[0.0, 1.0], &[0.5, 1.5], METRIC_INPUT);
        check(Metric::Auc, &[0.0, 2.0], &[0.5, 0.5], METRIC_INPUT);
    }

    #[test]
    fn metrics_without_a_value_say_so() {
        for metric in [Metric::Auc, Metric::AveragePrecision] {
            check(metric, &[0.0, 0.0], &[0.1, 0.9], UNDEFINED_METRIC);
        }
        check(Metric::Auc, &[1.0, 1.0], &[0.1, 0.9], UNDEFINED_METRIC);
        check(Metric::Precision, &[0.0, 1.0], &[0.1, 0.2], UNDEFINED_METRIC);
        check(Metric::Recall, &[0.0, 0.0], &[0.1, 0.9], UNDEFINED_METRIC);
        check(Metric::F1, &[0.0, 0.0], &[0.1, 0.2], UNDEFINED_METRIC);
        check(Metric::R2, &[2.0, 2.0], &[1.0, 2.0], UNDEFINED_METRIC);
        assert_eq!(Metric::F1.compute(&[0.0, 1.0], &[0.1, 0.2]).unwrap(), 0.0);
        assert!(Metric::LogLoss.compute(&[1.0, 0.0], &[0.0, 0.0]).unwrap() > 18.0, "certainty is clipped");
    }
}
