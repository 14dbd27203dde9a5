//! What a monitor saw in one window.

use lw_core::{Name, Result};
use lw_stats::{
    Counts, Drift, DriftMethod, FALSE_ALARM_RATE, Metric, ReferenceHistogram, UNDEFINED_METRIC, benjamini_hochberg_cutoff,
};
use serde::{Deserialize, Serialize};

use crate::failures::MONITOR_WITHOUT_REFERENCE;
use crate::{Group, Limit, Monitor, Over, Reference, SkewWatch, TimeWindow, Watch, WindowCounts};

/// What a window means for the alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Healthy,
    Breach,
    /// Too few rows or labels to tell.
    Undecided,
}

impl Verdict {
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Breach, Self::Undecided];

    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Breach => "breach",
            Self::Undecided => "undecided",
        }
    }
}

/// One value in one window with the limit it was held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub monitor: Name,
    pub window: TimeWindow,
    /// The feature, `prediction` or the metric.
    pub item: String,
    /// How it was measured: `psi`, `ks`, `js` or the metric.
    pub statistic: String,
    /// None where the window has too few rows for a value.
    pub value: Option<f64>,
    /// From here on the value is bad.
    pub limit: Option<f64>,
    /// Drift: how probable so large a distance is if nothing has changed.
    pub p_value: Option<f64>,
    /// Predictions in the window.
    pub n_rows: u64,
    /// How many of them have their label.
    pub n_labels: u64,
    pub verdict: Verdict,
}

impl Observation {
    /// The share of predictions whose label has arrived.
    pub fn label_coverage(&self) -> Option<f64> {
        (self.n_rows > 0).then(|| self.n_labels as f64 / self.n_rows as f64)
    }
}

/// What the prediction is called among the items of drift.
const PREDICTION: &str = "prediction";

/// How often an input that predictions saw was not what the tables say was known then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkewedInput {
    pub input: String,
    pub n_compared: u64,
    pub n_different: u64,
}

/// Judges a window of a skew monitor: `n_rows` predictions, of which some were computed again.
pub fn observe_skew(
    monitor: &Name,
    watch: &SkewWatch,
    inputs: &[SkewedInput],
    n_rows: u64,
    window: TimeWindow,
) -> Vec<Observation> {
    let observation = |input: &SkewedInput| {
        let share = (input.n_compared > 0).then(|| input.n_different as f64 / input.n_compared as f64);
        let verdict = match share {
            Some(_) if n_rows < watch.min_rows => Verdict::Undecided,
            Some(share) if share > watch.threshold => Verdict::Breach,
            Some(_) => Verdict::Healthy,
            None => Verdict::Undecided,
        };
        Observation {
            monitor: monitor.clone(),
            window,
            item: input.input.clone(),
            statistic: SKEW.to_owned(),
            value: share,
            limit: Some(watch.threshold),
            p_value: None,
            n_rows,
            n_labels: 0,
            verdict,
        }
    };
    inputs.iter().map(observation).collect()
}

/// What the share of differing predictions is called among the statistics.
const SKEW: &str = "skew";

/// Measures a window as the monitor asks.
///
/// # Errors
/// `monitor-without-reference` if the reference lacks what the monitor compares with; `bad-metric-input` for labels or
/// predictions that cannot be measured.
pub fn observe(monitor: &Monitor, reference: &Reference, counts: &WindowCounts, window: TimeWindow) -> Result<Vec<Observation>> {
    let observation = |item: &str, statistic: &str| Observation {
        monitor: monitor.name.clone(),
        window,
        item: item.to_owned(),
        statistic: statistic.to_owned(),
        value: None,
        limit: None,
        p_value: None,
        n_rows: counts.n_rows(),
        n_labels: counts.n_labels(),
        verdict: Verdict::Undecided,
    };
    match &monitor.watch {
        Watch::Metric { metric, limit, min_labels } => {
            let limit = limit_value(monitor, *metric, *limit, reference)?;
            let blank = Observation { limit: Some(limit), ..observation(metric.name(), metric.name()) };
            let is_decided = counts.n_labels() >= *min_labels;
            Ok(vec![measure(blank, *metric, limit, counts, is_decided)?])
        }
        Watch::Drift { method, over, threshold, min_rows } => {
            let mut compared = Vec::new();
            for (item, histogram, counted) in items(monitor, over, reference, counts)? {
                let blank = observation(item, method.name());
                compared.push((blank, drift(*method, histogram, counted, *min_rows)?));
            }
            Ok(against_noise(compared, *threshold))
        }
        Watch::Skew(_) => Err(lw_core::Error::bug(format!("`{}` compares with tables, not with a reference", monitor.name))),
    }
}

/// The verdict of a window: bad if anything in it is bad, undecided if nothing could be told.
pub fn judge(observations: &[Observation]) -> Verdict {
    let has = |verdict| observations.iter().any(|observation| observation.verdict == verdict);
    if has(Verdict::Breach) {
        return Verdict::Breach;
    }
    if has(Verdict::Healthy) { Verdict::Healthy } else { Verdict::Undecided }
}

fn limit_value(monitor: &Monitor, metric: Metric, limit: Limit, reference: &Reference) -> Result<f64> {
    let margin = match limit {
        Limit::WorseThan(value) => return Ok(value),
        Limit::WorseThanReferenceBy(margin) => margin,
    };
    let at_training = reference.metrics.get(&metric).copied().ok_or_else(|| {
        let message = format!("monitor `{}` compares {metric} with the evaluation report, which does not have it", monitor.name);
        MONITOR_WITHOUT_REFERENCE
            .error(message)
            .hint(format!("add {metric} to evaluate.metrics, or give the monitor a threshold"))
    })?;
    // Worse means lower for metrics where higher is better.
    Ok(at_training - margin * metric.improvement(1.0, 0.0))
}

fn measure(blank: Observation, metric: Metric, limit: f64, counts: &WindowCounts, is_decided: bool) -> Result<Observation> {
    match metric.compute(&counts.labels, &counts.labelled_predictions) {
        Ok(value) => {
            let verdict = match (is_decided, metric.is_better(limit, value)) {
                (false, _) => Verdict::Undecided,
                (true, true) => Verdict::Breach,
                (true, false) => Verdict::Healthy,
            };
            Ok(Observation { value: Some(value), verdict, ..blank })
        }
        Err(error) if error.is(UNDEFINED_METRIC) => Ok(blank),
        Err(error) => Err(error),
    }
}

type Item<'a> = (&'a str, &'a ReferenceHistogram, Option<&'a Counts>);

/// What a drift monitor compares: the reference's histograms with the window's counts, where something was counted.
fn items<'a>(monitor: &Monitor, over: &'a Over, reference: &'a Reference, counts: &'a WindowCounts) -> Result<Vec<Item<'a>>> {
    let missing = |what: &str| {
        let message = format!("monitor `{}` compares {what} with the training set, but the reference lacks it", monitor.name);
        MONITOR_WITHOUT_REFERENCE.error(message).hint("train the model again, so that its reference holds what is monitored now")
    };
    let feature = |name: &'a str| {
        let histogram = reference.features.get(name).ok_or_else(|| missing(&format!("`{name}`")))?;
        Ok((name, histogram, counts.features.get(name)))
    };
    match over {
        Over::Group(Group::Features) => reference.features.keys().map(|name| feature(name)).collect(),
        Over::Features(names) => names.iter().map(|name| feature(name)).collect(),
        Over::Group(Group::Predictions) => {
            let histogram = reference.predictions.as_ref().ok_or_else(|| missing("predictions"))?;
            Ok(vec![(PREDICTION, histogram, counts.predictions.as_ref())])
        }
    }
}

fn drift(method: DriftMethod, histogram: &ReferenceHistogram, counts: Option<&Counts>, min_rows: u64) -> Result<Option<Drift>> {
    let Some(counts) = counts.filter(|counts| counts.n_values() >= min_rows.max(1)) else {
        return Ok(None);
    };
    Drift::measure(method, histogram, counts).map(Some)
}

/// Holds each distance against the effect that matters or, if that is larger, the noise; the more items are compared, the
/// more improbable a distance must be (Benjamini and Hochberg, 1995).
fn against_noise(compared: Vec<(Observation, Option<Drift>)>, practical_effect: f64) -> Vec<Observation> {
    let p_values: Vec<f64> = compared.iter().filter_map(|(_, drift)| drift.map(|drift| drift.p_value)).collect();
    let cutoff = benjamini_hochberg_cutoff(&p_values, FALSE_ALARM_RATE);
    let hold = |(blank, drift): (Observation, Option<Drift>)| {
        let Some(drift) = drift else { return blank };
        let limit = drift.threshold(practical_effect, cutoff);
        let verdict = if drift.value > limit { Verdict::Breach } else { Verdict::Healthy };
        Observation { value: Some(drift.value), limit: Some(limit), p_value: Some(drift.p_value), verdict, ..blank }
    };
    compared.into_iter().map(hold).collect()
}

#[cfg(test)]
mod tests {
    use lw_core::{Span, Timestamp};

    use super::*;

    #[track_caller]
    fn check(n_different: u64, n_compared: u64, n_rows: u64, want: Verdict) {
        let watch = SkewWatch { inputs: None, threshold: 0.1, tolerance: 0.0, sample: 100, min_rows: 20 };
        let inputs = [SkewedInput { input: "amount".to_owned(), n_compared, n_different }];
        let window = TimeWindow::ending(Timestamp::from_micros(0), Span::from_days(1));
        let monitor = Name::parse("skew").unwrap();
        let observations = observe_skew(&monitor, &watch, &inputs, n_rows, window);
        assert_eq!((judge(&observations), observations[0].limit), (want, Some(0.1)));
    }

    #[test]
    fn a_share_above_the_threshold_breaches_once_there_are_enough_rows() {
        check(0, 100, 5000, Verdict::Healthy);
        check(10, 100, 5000, Verdict::Healthy);
        check(11, 100, 5000, Verdict::Breach);
        check(19, 19, 19, Verdict::Undecided);
        check(0, 0, 5000, Verdict::Undecided);
    }
}
