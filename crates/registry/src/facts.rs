//! What gates look at: the numbers of an evaluation report, without the rest of it.

use std::collections::BTreeMap;

use lw_evaluation::{Comparison, Measurement, Metric, Report};
use serde::{Deserialize, Serialize};

/// The numbers of a report. A metric without a value is missing here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub n_rows: u64,
    pub metrics: BTreeMap<Metric, f64>,
    /// By column.
    #[serde(default)]
    pub segments: BTreeMap<String, Vec<SegmentFacts>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<RivalFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<RivalFacts>,
    /// Whether the version is the baseline itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_baseline: bool,
}

/// The rows in which a column has one value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentFacts {
    pub value: String,
    pub n_rows: u64,
    /// Too few rows to judge a model by.
    pub is_small: bool,
    pub metrics: BTreeMap<Metric, f64>,
}

/// The candidate against another model on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RivalFacts {
    /// Such as `late_arrival@3`.
    pub against: String,
    pub metrics: BTreeMap<Metric, RivalMetric>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RivalMetric {
    pub candidate: f64,
    pub rival: f64,
}

impl Facts {
    #[must_use]
    pub fn metric(mut self, metric: Metric, value: f64) -> Self {
        self.metrics.insert(metric, value);
        self
    }

    #[must_use]
    pub fn segment(mut self, column: &str, segment: SegmentFacts) -> Self {
        self.segments.entry(column.to_owned()).or_default().push(segment);
        self
    }
}

impl From<&Report> for Facts {
    fn from(report: &Report) -> Self {
        let mut facts = Self {
            n_rows: report.n_rows,
            metrics: values(&report.metrics),
            segments: BTreeMap::new(),
            champion: report.champion.as_ref().map(RivalFacts::from),
            baseline: report.baseline.as_ref().map(RivalFacts::from),
            is_baseline: report.is_baseline,
        };
        for segment in &report.segments {
            let metrics = values(&segment.metrics);
            let (value, n_rows, is_small) = (segment.value.clone(), segment.n_rows, segment.is_small);
            facts.segments.entry(segment.column.clone()).or_default().push(SegmentFacts { value, n_rows, is_small, metrics });
        }
        facts
    }
}

impl From<&Comparison> for RivalFacts {
    fn from(comparison: &Comparison) -> Self {
        let metrics = comparison.metrics.iter();
        let metrics = metrics
            .map(|(metric, difference)| (*metric, RivalMetric { candidate: difference.candidate, rival: difference.reference }));
        Self { against: comparison.against.clone(), metrics: metrics.collect() }
    }
}

fn values(measurements: &BTreeMap<Metric, Measurement>) -> BTreeMap<Metric, f64> {
    measurements.iter().filter_map(|(metric, measurement)| Some((*metric, measurement.value?))).collect()
}
