use std::collections::BTreeMap;

use lw_stats::{
    BootstrapOptions, Metric, Moments, benjamini_hochberg_cutoff, bootstrap_intervals, calibration_curve, confidence_intervals,
    delong, jensen_shannon, kolmogorov_smirnov, population_stability, quantile, two_sample_chi_square, wilson,
};
use serde::Deserialize;

fn golden<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn check(what: impl std::fmt::Display, got: f64, want: f64) {
    let tolerance = 1e-9 * want.abs().max(1e-3);
    assert!((got - want).abs() <= tolerance, "{what}: {got} is not {want}");
}

#[derive(Deserialize)]
struct Case {
    labels: Vec<f64>,
    predictions: Vec<f64>,
    #[serde(default)]
    threshold: f64,
    metrics: BTreeMap<Metric, f64>,
    auc_variance: Option<f64>,
    calibration: Option<Calibration>,
    bootstrap: BTreeMap<Metric, [f64; 2]>,
}

#[derive(Deserialize)]
struct Calibration {
    outcome_rate: Vec<f64>,
    mean_prediction: Vec<f64>,
}

#[test]
fn metrics_equal_scikit_learn() {
    let cases: Vec<Case> = [golden::<Vec<Case>>("classification"), golden("regression")].into_iter().flatten().collect();
    let mut seen = std::collections::BTreeSet::new();
    for case in &cases {
        for (metric, want) in &case.metrics {
            check(metric, metric.compute_at(case.threshold, &case.labels, &case.predictions).unwrap(), *want);
            seen.insert(*metric);
        }
    }
    assert_eq!(seen.len(), Metric::ALL.len());
}

#[test]
fn auc_variance_equals_its_definition_over_all_pairs() {
    for case in golden::<Vec<Case>>("classification") {
        let (estimate, interval) = delong(&case.labels, &case.predictions, 0.95).unwrap();
        check("variance", estimate.variance, case.auc_variance.unwrap());
        let interval = interval.unwrap();
        assert!(interval.contains(estimate.auc) && interval.high <= 1.0);
    }
}

#[test]
fn calibration_curves_equal_scikit_learn() {
    for case in golden::<Vec<Case>>("classification") {
        let want = case.calibration.unwrap();
        let bins = calibration_curve(&case.labels, &case.predictions);
        assert_eq!(bins.len(), want.outcome_rate.len());
        for ((bin, rate), mean) in bins.iter().zip(want.outcome_rate).zip(want.mean_prediction) {
            check("outcome rate", bin.outcome_rate, rate);
            check("mean prediction", bin.mean_prediction, mean);
        }
    }
}

/// Other random draws, the same distribution: bounds agree within a fifth of the interval's width.
#[test]
fn bootstrap_intervals_agree_with_scipy() {
    let cases: Vec<Case> = [golden::<Vec<Case>>("classification"), golden("regression")].into_iter().flatten().collect();
    for case in &cases {
        let options = BootstrapOptions { n_resamples: 2_000, level: 0.95, threshold: 0.5, seed: 11 };
        let metrics: Vec<Metric> = case.bootstrap.keys().copied().collect();
        let got = bootstrap_intervals(&metrics, &case.labels, &case.predictions, &options).unwrap();
        for (interval, (metric, [low, high])) in got.into_iter().zip(&case.bootstrap) {
            let interval = interval.unwrap();
            let slack = (high - low) / 5.0;
            assert!((interval.low - low).abs() < slack && (interval.high - high).abs() < slack, "{metric} {interval:?}");
        }
    }
}

#[test]
fn every_metric_has_an_interval_around_its_value() {
    for case in [golden::<Vec<Case>>("classification").remove(0), golden::<Vec<Case>>("regression").remove(0)] {
        let options = BootstrapOptions { n_resamples: 300, level: 0.95, threshold: case.threshold, seed: 1 };
        let metrics: Vec<Metric> = case.metrics.keys().copied().collect();
        let intervals = confidence_intervals(&metrics, &case.labels, &case.predictions, &options).unwrap();
        for (interval, (metric, value)) in intervals.into_iter().zip(&case.metrics) {
            let interval = interval.unwrap();
            // The calibration error of a resample is biased upwards, so its value may stand just below the interval.
            assert!(
                interval.low < interval.high && (interval.contains(*value) || *metric == Metric::Ece),
                "{metric} {interval:?}"
            );
        }
    }
}

#[derive(Deserialize)]
struct Drift {
    samples: Vec<Samples>,
    shares: Vec<Shares>,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Samples {
    first: Vec<f64>,
    second: Vec<f64>,
    statistic: f64,
    p_value: f64,
}

#[derive(Deserialize)]
struct Shares {
    reference: Vec<f64>,
    window: Vec<f64>,
    psi: f64,
    js: f64,
}

#[derive(Deserialize)]
struct Table {
    counts: [Vec<u64>; 2],
    statistic: f64,
    degrees_of_freedom: u32,
    p_value: f64,
}

#[test]
fn distances_equal_scipy() {
    let drift: Drift = golden("drift");
    for case in drift.shares {
        check("psi", population_stability(&case.reference, &case.window), case.psi);
        check("js", jensen_shannon(&case.reference, &case.window), case.js);
    }
    for case in drift.samples {
        let (statistic, p_value) = kolmogorov_smirnov(&case.first, &case.second).unwrap();
        check("ks", statistic, case.statistic);
        check("ks p", p_value, case.p_value);
        // The histogram sees the same gap where it has a bin for each value, and at most one bin's mass less elsewhere.
        let reference = lw_stats::ReferenceHistogram::from_numbers(&case.first).unwrap();
        let mut window = reference.no_counts();
        reference.count_numbers(&mut window, &case.second).unwrap();
        let binned = lw_stats::Drift::measure(lw_stats::DriftMethod::Ks, &reference, &window).unwrap().value;
        assert!(binned <= statistic + 1e-12 && binned >= statistic - 0.011, "{binned} {statistic}");
    }
    for case in drift.tables {
        let got = two_sample_chi_square(&case.counts[0], &case.counts[1]);
        check("chi square", got.statistic, case.statistic);
        check("p", got.p_value, case.p_value);
        assert_eq!(got.degrees_of_freedom, case.degrees_of_freedom);
    }
}

#[derive(Deserialize)]
struct Proportion {
    successes: u64,
    trials: u64,
    level: f64,
    low: f64,
    high: f64,
}

#[test]
fn wilson_intervals_equal_scipy() {
    for case in golden::<Vec<Proportion>>("intervals") {
        let got = wilson(case.successes, case.trials, case.level);
        assert!((got.low - case.low).abs() < 1e-9 && (got.high - case.high).abs() < 1e-9, "{got:?}");
    }
}

#[derive(Deserialize)]
struct Discoveries {
    p_values: Vec<f64>,
    found: Vec<bool>,
}

#[test]
fn discoveries_equal_scipy() {
    for case in golden::<Vec<Discoveries>>("discoveries") {
        let cutoff = benjamini_hochberg_cutoff(&case.p_values, 0.05);
        let found: Vec<bool> = case.p_values.iter().map(|p_value| *p_value <= cutoff).collect();
        assert_eq!(found, case.found);
    }
}

#[derive(Deserialize)]
struct Quantiles {
    values: Vec<f64>,
    shares: Vec<f64>,
    quantiles: Vec<f64>,
    mean: f64,
    variance: f64,
}

#[test]
fn quantiles_and_moments_equal_numpy() {
    let case: Quantiles = golden("quantiles");
    for (share, want) in case.shares.iter().zip(&case.quantiles) {
        check(share, quantile(&case.values, *share).unwrap(), *want);
    }
    let mut moments = Moments::default();
    moments.extend(case.values.iter().copied());
    check("mean", moments.mean().unwrap(), case.mean);
    check("variance", moments.variance().unwrap(), case.variance);
}
