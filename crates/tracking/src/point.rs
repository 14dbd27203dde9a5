//! A value of a metric, and which of two is the later one.

use std::cmp::Ordering;

use lw_core::{Result, Timestamp};
use lw_store::{Cell, RowView};
use serde::{Deserialize, Serialize};

/// A value of a metric. Steps may be negative; a value may be NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MetricPoint {
    pub value: f64,
    pub at: Timestamp,
    pub step: i64,
}

impl MetricPoint {
    /// Infinite values are kept as the largest finite ones, as MLflow does. NaN stays NaN, and zero has no sign.
    pub(crate) fn bounded(self) -> Self {
        let value = if self.value.is_nan() { f64::NAN } else { self.value.clamp(f64::MIN, f64::MAX) + 0.0 };
        Self { value, ..self }
    }

    /// By step, then time, then value; NaN is below every number. The greatest point of a metric is its latest.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let rank = |point: &Self| (point.step, point.at, !point.value.is_nan());
        rank(self).cmp(&rank(other)).then_with(|| self.value.partial_cmp(&other.value).unwrap_or(Ordering::Equal))
    }

    /// By time, then step, then value as it is stored: the order of the table of points.
    pub(crate) fn in_time(&self, other: &Self) -> Ordering {
        let ((value, is_nan), (other_value, other_is_nan)) = (self.stored(), other.stored());
        (self.at, self.step)
            .cmp(&(other.at, other.step))
            .then_with(|| value.partial_cmp(&other_value).unwrap_or(Ordering::Equal))
            .then_with(|| is_nan.cmp(&other_is_nan))
    }

    /// The value as both databases keep it, and whether it stands for NaN.
    pub(crate) fn stored(&self) -> (f64, bool) {
        if self.value.is_nan() { (0.0, true) } else { (self.value, false) }
    }

    /// The columns `logged_at`, `step`, `metric_value` and `is_nan`.
    pub(crate) fn cells<'a>(&self) -> [Cell<'a>; 4] {
        let (value, is_nan) = self.stored();
        [self.at.into(), self.step.into(), value.into(), is_nan.into()]
    }

    /// Reads the columns of [`Self::cells`] from a position on.
    pub(crate) fn of(row: &RowView<'_>, first: usize) -> Result<Self> {
        let value = if row.int(first + 3)? != 0 { f64::NAN } else { row.float(first + 2)? };
        Ok(Self { value, at: row.time(first)?, step: row.int(first + 1)? })
    }
}
