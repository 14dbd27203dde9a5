use lw_core::Failure;
use lw_monitoring::{
    BAD_MONITOR, DriftMethod, Group, Limit, Metric, MonitorDefinition, Over, SkewWatch, UNKNOWN_MONITORED_FEATURE, Watch,
};
use lw_stats::Task;

fn parse(yaml: &str) -> MonitorDefinition {
    serde_saphyr::from_str(yaml).unwrap()
}

fn inputs() -> Vec<String> {
    ["distance", "carrier"].map(str::to_owned).to_vec()
}

#[track_caller]
fn check(yaml: &str, want: Watch) {
    let monitor = parse(yaml).check(Task::BinaryClassification, &inputs()).unwrap();
    assert_eq!(monitor.watch, want);
    assert_eq!(monitor.window.to_string(), "7d");
}

#[test]
fn monitors_read_like_the_model_file() {
    let features = Over::Group(Group::Features);
    check(
        "{name: feature_drift, drift: psi, over: features, window: 7d, threshold: 0.25, for: 2}",
        Watch::Drift { method: DriftMethod::Psi, over: features.clone(), threshold: 0.25, min_rows: 100 },
    );
    check(
        "{name: carriers, drift: js, over: [carrier], window: 7d, min_rows: 30}",
        Watch::Drift { method: DriftMethod::Js, over: Over::Features(vec!["carrier".to_owned()]), threshold: 0.1, min_rows: 30 },
    );
    check(
        "{name: answers, drift: ks, over: predictions, window: 7d}",
        Watch::Drift { method: DriftMethod::Ks, over: Over::Group(Group::Predictions), threshold: 0.1, min_rows: 100 },
    );
    check(
        "{name: quality, metric: log_loss, window: 7d, worse_than_reference_by: 0.05, min_labels: 500}",
        Watch::Metric { metric: Metric::LogLoss, limit: Limit::WorseThanReferenceBy(0.05), min_labels: 500 },
    );
    check(
        "{name: quality, metric: auc, window: 7d, threshold: 0.6, every: 1d}",
        Watch::Metric { metric: Metric::Auc, limit: Limit::WorseThan(0.6), min_labels: 100 },
    );
    let skew = SkewWatch { inputs: None, threshold: 0.01, tolerance: 1e-6, sample: 1000, min_rows: 100 };
    check("{name: skew, skew: features, window: 7d}", Watch::Skew(skew.clone()));
    check(
        "{name: skew, skew: [carrier], window: 7d, threshold: 0.1, tolerance: 0.001, sample: 50, min_rows: 1}",
        Watch::Skew(SkewWatch {
            inputs: Some(vec!["carrier".to_owned()]),
            threshold: 0.1,
            tolerance: 0.001,
            sample: 50,
            min_rows: 1,
        }),
    );
    let two =
        parse("{name: feature_drift, drift: psi, window: 7d, for: 2, every: 1d}").check(Task::Regression, &inputs()).unwrap();
    assert_eq!((two.n_windows, two.every.to_string().as_str()), (2, "1d"));
}

#[track_caller]
fn check_refused(yaml: &str, want: Failure, hint: &str) {
    let error = parse(yaml).check(Task::BinaryClassification, &inputs()).unwrap_err();
    assert!(error.is(want), "{error:?}");
    assert!(error.hint_text().is_some_and(|text| text.contains(hint)), "{error:?}");
}

#[test]
fn monitors_that_make_no_sense_are_refused_with_a_hint() {
    check_refused("{name: m, window: 7d}", BAD_MONITOR, "drift: psi");
    check_refused("{name: m, drift: psi, metric: auc, window: 7d}", BAD_MONITOR, "two monitors");
    check_refused("{name: m, drift: psi, window: 0d}", BAD_MONITOR, "window: 7d");
    check_refused("{name: m, drift: psi, window: 7d, every: 0s}", BAD_MONITOR, "window: 7d");
    check_refused("{name: m, drift: psi, window: 7d, for: 0}", BAD_MONITOR, "for: 1");
    check_refused("{name: m, drift: psi, window: 7d, threshold: -1}", BAD_MONITOR, "0.25");
    check_refused("{name: m, drift: psi, window: 7d, min_labels: 3}", BAD_MONITOR, "no labels");
    check_refused("{name: m, drift: psi, window: 7d, over: []}", BAD_MONITOR, "over: features");
    check_refused("{name: m, drift: psi, window: 7d, over: [carier]}", UNKNOWN_MONITORED_FEATURE, "`carrier`");
    check_refused("{name: m, skew: features, drift: psi, window: 7d}", BAD_MONITOR, "two monitors");
    check_refused("{name: m, skew: predictions, window: 7d}", BAD_MONITOR, "skew: features");
    check_refused("{name: m, skew: [carier], window: 7d}", UNKNOWN_MONITORED_FEATURE, "`carrier`");
    check_refused("{name: m, skew: features, window: 7d, threshold: 1}", BAD_MONITOR, "below 1");
    check_refused("{name: m, skew: features, window: 7d, sample: 0}", BAD_MONITOR, "sample: 1000");
    check_refused("{name: m, skew: features, window: 7d, min_labels: 3}", BAD_MONITOR, "leave out");
    check_refused("{name: m, drift: psi, window: 7d, sample: 3}", BAD_MONITOR, "skew: features");
    check_refused("{name: m, metric: auc, window: 7d}", BAD_MONITOR, "worse_than_reference_by");
    check_refused("{name: m, metric: auc, window: 7d, threshold: 0.6, worse_than_reference_by: 0.1}", BAD_MONITOR, "one of");
    check_refused("{name: m, metric: auc, window: 7d, threshold: .nan}", BAD_MONITOR, "one of");
    check_refused("{name: m, metric: rmse, window: 7d, threshold: 3}", BAD_MONITOR, "log_loss");
    check_refused("{name: m, metric: auc, window: 7d, threshold: 0.6, over: features}", BAD_MONITOR, "leave out");
}

#[test]
fn unknown_words_do_not_parse() {
    for yaml in
        ["{name: m, drift: wasserstein, window: 7d}", "{name: m, metric: auc, window: 7d, treshold: 1}", "{name: m, drift: psi}"]
    {
        assert!(serde_saphyr::from_str::<MonitorDefinition>(yaml).is_err(), "{yaml}");
    }
}
