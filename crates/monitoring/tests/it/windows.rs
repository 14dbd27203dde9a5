use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int32Array, ListArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use lw_core::{Name, Span};
use lw_monitoring::{
    DriftMethod, Group, Limit, MONITOR_WITHOUT_REFERENCE, Metric, Monitor, Observation, Over, REFERENCE_UNREADABLE, Reference,
    UNMONITORED_TYPE, Verdict, Watch, WindowCounts, judge, observe,
};

use crate::{batch, carriers, due, even, name, quality, reference};

fn drift(method: DriftMethod, over: Over) -> Monitor {
    let watch = Watch::Drift { method, over, threshold: method.default_threshold(), min_rows: 100 };
    Monitor { name: name("drift"), watch, ..quality(1) }
}

fn counts(reference: &Reference, features: &RecordBatch) -> WindowCounts {
    let mut counts = WindowCounts::new();
    counts.add(reference, features, &even(features.num_rows(), 9)).unwrap();
    counts
}

fn see(monitor: &Monitor, counts: &WindowCounts) -> Vec<Observation> {
    observe(monitor, &reference(), counts, due(monitor, 7).window).unwrap()
}

#[track_caller]
fn check(monitor: &Monitor, counts: &WindowCounts, want: &[(&str, Verdict)]) {
    let observations = see(monitor, counts);
    let got: Vec<_> = observations.iter().map(|observation| (observation.item.as_str(), observation.verdict)).collect();
    assert_eq!(got, want, "{observations:?}");
}

const FEATURES: Over = Over::Group(Group::Features);

#[test]
fn drift_names_the_feature_that_moved() {
    let reference = reference();
    let same = counts(&reference, &batch(even(400, 3), carriers(400)));
    let moved = counts(&reference, &batch(even(400, 3).iter().map(|x| x * 0.5 + 0.5).collect(), carriers(400)));
    let new_carrier = counts(&reference, &batch(even(400, 3), ["AA", "XX"].into_iter().cycle().take(400).collect()));
    for method in [DriftMethod::Psi, DriftMethod::Ks, DriftMethod::Js] {
        let monitor = drift(method, FEATURES);
        check(&monitor, &same, &[("carrier", Verdict::Healthy), ("distance", Verdict::Healthy)]);
        check(&monitor, &moved, &[("carrier", Verdict::Healthy), ("distance", Verdict::Breach)]);
        check(&monitor, &new_carrier, &[("carrier", Verdict::Breach), ("distance", Verdict::Healthy)]);
        check(&drift(method, Over::Features(vec!["carrier".to_owned()])), &moved, &[("carrier", Verdict::Healthy)]);
        check(&drift(method, Over::Group(Group::Predictions)), &moved, &[("prediction", Verdict::Healthy)]);
    }
    let observations = see(&drift(DriftMethod::Psi, FEATURES), &moved);
    assert_eq!(judge(&observations), Verdict::Breach);
    let distance = &observations[1];
    assert!(distance.value > distance.limit && distance.p_value.unwrap() < 1e-6 && distance.n_rows == 400, "{distance:?}");
}

#[test]
fn a_small_window_is_held_against_its_noise() {
    let reference = reference();
    let few = counts(&reference, &batch(even(110, 3), carriers(110)));
    let sensitive = Monitor {
        watch: Watch::Drift { method: DriftMethod::Psi, over: FEATURES, threshold: 0.0, min_rows: 100 },
        ..drift(DriftMethod::Psi, FEATURES)
    };
    let observations = see(&sensitive, &few);
    assert!(observations.iter().all(|observation| observation.limit.unwrap() > 0.05), "{observations:?}");
    assert_eq!(judge(&observations), Verdict::Healthy);
    let fewer = counts(&reference, &batch(even(99, 3), carriers(99)));
    check(&sensitive, &fewer, &[("carrier", Verdict::Undecided), ("distance", Verdict::Undecided)]);
}

#[test]
fn a_feature_that_was_not_logged_is_undecided() {
    let only_carrier = RecordBatch::try_from_iter([("carrier", Arc::new(StringArray::from(carriers(300))) as ArrayRef)]).unwrap();
    let counts = counts(&reference(), &only_carrier);
    check(&drift(DriftMethod::Psi, FEATURES), &counts, &[("carrier", Verdict::Healthy), ("distance", Verdict::Undecided)]);
    assert_eq!(judge(&see(&drift(DriftMethod::Psi, FEATURES), &WindowCounts::new())), Verdict::Undecided);
}

#[test]
fn parts_of_a_window_merge_to_the_whole() {
    let reference = reference();
    let whole = batch(even(400, 3), carriers(400));
    let (mut merged, mut at_once) = (WindowCounts::new(), WindowCounts::new());
    let predictions = even(400, 9);
    at_once.add(&reference, &whole, &predictions).unwrap();
    at_once.add_outcomes([(1.0, 0.7), (0.0, 0.2)]);
    for (start, outcome) in [(0, (1.0, 0.7)), (200, (0.0, 0.2))] {
        let mut part = WindowCounts::new();
        part.add(&reference, &whole.slice(start, 200), &predictions[start..start + 200]).unwrap();
        part.add_outcomes([outcome]);
        merged.merge(part).unwrap();
    }
    assert_eq!(merged, at_once);
}

fn labelled(n_rows: usize, n_labels: usize, prediction: f64) -> WindowCounts {
    let mut counts = counts(&reference(), &batch(even(n_rows, 3), carriers(n_rows)));
    counts.add_outcomes(
        (0..n_labels).map(|i| (f64::from(u8::from(i % 2 == 0)), if i % 2 == 0 { prediction } else { 1.0 - prediction })),
    );
    counts
}

#[test]
fn quality_waits_for_enough_labels() {
    let monitor = quality(1);
    check(&monitor, &labelled(200, 49, 0.1), &[("log_loss", Verdict::Undecided)]);
    check(&monitor, &labelled(200, 0, 0.1), &[("log_loss", Verdict::Undecided)]);
    check(&monitor, &labelled(200, 50, 0.1), &[("log_loss", Verdict::Breach)]);
    check(&monitor, &labelled(200, 50, 0.7), &[("log_loss", Verdict::Healthy)]);
    let observation = see(&monitor, &labelled(200, 50, 0.7)).remove(0);
    assert_eq!((observation.limit, observation.label_coverage()), (Some(0.55), Some(0.25)));
    assert!((observation.value.unwrap() + 0.7_f64.ln()).abs() < 1e-12);
}

#[test]
fn worse_follows_the_direction_of_the_metric() {
    let auc = |limit| Monitor { watch: Watch::Metric { metric: Metric::Auc, limit, min_labels: 10 }, ..quality(1) };
    let reference = reference().metric(Metric::Auc, 0.9);
    let verdict =
        |monitor: &Monitor, counts: &WindowCounts| judge(&observe(monitor, &reference, counts, due(monitor, 7).window).unwrap());
    let (good, bad) = (labelled(100, 20, 0.9), labelled(100, 20, 0.1));
    assert_eq!(verdict(&auc(Limit::WorseThanReferenceBy(0.05)), &good), Verdict::Healthy);
    assert_eq!(verdict(&auc(Limit::WorseThanReferenceBy(0.05)), &bad), Verdict::Breach);
    assert_eq!(verdict(&auc(Limit::WorseThan(0.5)), &bad), Verdict::Breach);
}

#[test]
fn a_window_with_one_outcome_has_no_auc_and_no_verdict() {
    let monitor =
        Monitor { watch: Watch::Metric { metric: Metric::Auc, limit: Limit::WorseThan(0.5), min_labels: 2 }, ..quality(1) };
    let mut counts = WindowCounts::new();
    counts.add_outcomes([(1.0, 0.4), (1.0, 0.8)]);
    check(&monitor, &counts, &[("auc", Verdict::Undecided)]);
}

#[test]
fn a_monitor_without_its_reference_is_an_error() {
    let bare = Reference::default();
    let monitors = [
        quality(1),
        drift(DriftMethod::Psi, Over::Group(Group::Predictions)),
        drift(DriftMethod::Psi, Over::Features(vec!["x".into()])),
    ];
    for monitor in monitors {
        let error = observe(&monitor, &bare, &WindowCounts::new(), due(&monitor, 7).window).unwrap_err();
        assert!(error.is(MONITOR_WITHOUT_REFERENCE) && error.hint_text().is_some(), "{error:?}");
    }
}

#[test]
fn references_survive_as_artifacts() {
    let reference = reference();
    let bytes = reference.to_bytes();
    assert_eq!(Reference::from_bytes(&bytes).unwrap(), reference);
    assert_eq!(self::reference().to_bytes(), bytes);
    let error = Reference::from_bytes(b"PAR1").unwrap_err();
    assert!(error.is(REFERENCE_UNREADABLE) && error.hint_text().is_some());
}

#[test]
fn columns_of_many_types_have_a_distribution() {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(Int32Array::from(vec![1, 2, 3])),
        Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]).with_timezone("UTC")),
        Arc::new(StringArray::from(vec![Some("a"), None, Some("b")])),
    ];
    for column in &columns {
        let reference = Reference::default().feature("column", column).unwrap();
        let batch = RecordBatch::try_from_iter([("column", column.clone())]).unwrap();
        let mut counts = WindowCounts::new();
        counts.add(&reference, &batch, &[0.1, 0.2, 0.3]).unwrap();
        let watch = Watch::Drift { method: DriftMethod::Psi, over: FEATURES, threshold: 0.1, min_rows: 1 };
        let monitor = Monitor {
            name: Name::parse("m").unwrap(),
            watch,
            window: Span::from_days(1),
            every: Span::from_days(1),
            n_windows: 1,
        };
        let observation = observe(&monitor, &reference, &counts, due(&monitor, 1).window).unwrap().remove(0);
        assert_eq!((observation.value, observation.verdict), (Some(0.0), Verdict::Healthy), "{}", column.data_type());
    }
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
    assert!(Reference::default().feature("list", &list).unwrap_err().is(UNMONITORED_TYPE));
}

#[test]
fn a_feature_that_changed_its_type_drifts() {
    let reference = reference();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["far"; 200]));
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![7; 200]));
    let changed = RecordBatch::try_from_iter([("distance", texts), ("carrier", numbers)]).unwrap();
    let counts = counts(&reference, &changed);
    check(&drift(DriftMethod::Psi, FEATURES), &counts, &[("carrier", Verdict::Breach), ("distance", Verdict::Breach)]);
}
