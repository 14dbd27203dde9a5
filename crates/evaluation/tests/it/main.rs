//! Reports as a caller sees them. The metrics themselves are tested in lw-stats against scikit-learn.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, ListArray, StringArray};
use arrow::datatypes::Int32Type;
use lw_evaluation::{
    BAD_EVALUATION, BAD_SEGMENT_COLUMN, EVALUATION_ROWS_DIFFER, EvaluateDefinition, EvaluationData, METRIC_OF_ANOTHER_TASK,
    Metric, Report, SegmentColumn, Task, evaluate,
};

/// Rows whose outcome follows the probability: a fixed sequence that is spread evenly over 0 to 1 (Weyl, 1916).
fn rows(n_rows: usize) -> (Vec<f64>, Vec<f64>) {
    let spread = |step: f64| move |i: usize| (i as f64 * step).fract();
    let (truth, coin) = (spread(0.618_033_988_749_895), spread(0.414_213_562_373_095));
    let predictions: Vec<f64> = (0..n_rows).map(truth).collect();
    let labels = predictions.iter().enumerate().map(|(i, p)| f64::from(u8::from(coin(i) < *p))).collect();
    (labels, predictions)
}

fn definition() -> EvaluateDefinition {
    let metrics = vec![Metric::Auc, Metric::LogLoss, Metric::Brier, Metric::Ece, Metric::F1];
    EvaluateDefinition { segments: vec!["carrier".to_owned()], min_segment_rows: 100, ..EvaluateDefinition::new(metrics) }
}

fn carriers(n_rows: usize) -> SegmentColumn {
    let name = |i: usize| match i % 100 {
        0..50 => Some("AA"),
        50..95 => Some("B6"),
        95..98 => Some("HA"),
        _ => None,
    };
    SegmentColumn::from_texts("carrier", (0..n_rows).map(name))
}

fn report(n_rows: usize) -> Report {
    let (labels, predictions) = rows(n_rows);
    let flat = vec![0.5; n_rows];
    let blurred: Vec<f64> = predictions.iter().map(|p| 0.5 + (p - 0.5) * 0.3).collect();
    let data = EvaluationData::new(Task::BinaryClassification, &labels, &predictions)
        .segment(carriers(n_rows))
        .champion("late_arrival@3", &blurred)
        .baseline("always the mean", &flat);
    evaluate(&definition(), &data, 7).unwrap()
}

#[test]
fn a_report_measures_overall_and_by_segment() {
    let report = report(2_000);
    assert_eq!((report.n_rows, report.threshold), (2_000, Some(0.5)));
    let (labels, predictions) = rows(2_000);
    for metric in definition().metrics {
        let measured = &report.metrics[&metric];
        assert_eq!(measured.value, metric.compute(&labels, &predictions).ok(), "{metric}");
        assert!(measured.interval.is_some() && measured.undefined.is_none(), "{metric}");
    }
    let named: Vec<_> = report.segments_of("carrier").map(|s| (s.value.as_str(), s.n_rows, s.is_pooled, s.n_values)).collect();
    assert_eq!(named, [("AA", 1_000, false, 1), ("B6", 900, false, 1), ("other", 100, true, 2)]);
    let rows_of_aa: Vec<usize> = (0..2_000).filter(|i| i % 100 < 50).collect();
    let of_aa = |values: &[f64]| -> Vec<f64> { rows_of_aa.iter().map(|i| values[*i]).collect() };
    assert_eq!(report.segments[0].metrics[&Metric::Auc].value, Metric::Auc.compute(&of_aa(&labels), &of_aa(&predictions)).ok());
    assert_eq!(report.calibration.iter().map(|bin| bin.n_rows).sum::<u64>(), 2_000);
    assert_eq!(report.n_positive, report.segments.iter().map(|segment| segment.n_positive).sum());
}

#[test]
fn improvement_is_positive_whichever_direction_is_better() {
    let report = report(2_000);
    let champion = report.champion.as_ref().unwrap();
    assert_eq!((champion.against.as_str(), champion.n_rows), ("late_arrival@3", 2_000));
    let log_loss = &champion.metrics[&Metric::LogLoss];
    assert!(log_loss.candidate < log_loss.reference && log_loss.improvement > 0.0);
    let interval = log_loss.interval.unwrap();
    assert!(0.0 < interval.low && interval.contains(log_loss.improvement) && log_loss.p_value.unwrap() < 0.01);
    // Blurring keeps the order of the rows: the AUC cannot tell the two apart.
    assert_eq!((champion.metrics[&Metric::Auc].improvement, champion.metrics[&Metric::Auc].p_value), (0.0, Some(1.0)));
    assert!(report.baseline.unwrap().metrics[&Metric::Auc].improvement > 0.2);
}

#[test]
fn equal_inputs_give_equal_digests_and_json_keeps_them() {
    let report = report(500);
    let text = serde_json::to_string(&report).unwrap();
    let read: Report = serde_json::from_str(&text).unwrap();
    assert_eq!((&read, read.digest()), (&report, self::report(500).digest()));
    assert_ne!(self::report(501).digest(), report.digest());
    assert!(text.contains(r#""metrics":{"auc":{"value":0."#), "{text}");
}

#[test]
fn a_metric_without_a_value_says_why() {
    let labels = [0.0, 0.0, 1.0, 0.0];
    let data = EvaluationData::new(Task::BinaryClassification, &labels, &[0.1, 0.2, 0.9, 0.3])
        .segment(SegmentColumn::from_texts("origin", ["EWR", "EWR", "JFK", "JFK"].map(Some)));
    let definition = EvaluateDefinition { min_segment_rows: 2, ..EvaluateDefinition::new(vec![Metric::Auc, Metric::LogLoss]) };
    let report = evaluate(&definition, &data, 1).unwrap();
    let newark = &report.segments[0];
    assert_eq!(newark.metrics[&Metric::Auc].value, None);
    assert_eq!(newark.metrics[&Metric::Auc].undefined.as_deref(), Some("auc has no value: all rows have the same outcome"));
    assert!(newark.metrics[&Metric::LogLoss].value.is_some());
}

#[test]
fn regressions_have_no_calibration() {
    let labels: Vec<f64> = (0..300).map(f64::from).collect();
    let predictions: Vec<f64> = labels.iter().map(|label| label * 0.9 + 3.0).collect();
    let definition = EvaluateDefinition::new(vec![Metric::Rmse, Metric::Mae, Metric::R2]);
    let report = evaluate(&definition, &EvaluationData::new(Task::Regression, &labels, &predictions), 1).unwrap();
    assert!(report.calibration.is_empty() && report.threshold.is_none() && report.n_positive.is_none());
    assert!(report.value(Metric::R2).unwrap() > 0.9);
}

#[track_caller]
fn check_refused(definition: &EvaluateDefinition, data: &EvaluationData<'_>, want: lw_core::Failure) {
    let error = evaluate(definition, data, 1).unwrap_err();
    assert!(error.is(want), "{error:?}");
    assert!(error.hint_text().is_some(), "{error:?}");
}

#[test]
fn bad_input_is_refused_with_a_hint() {
    let (labels, predictions) = rows(50);
    let data = EvaluationData::new(Task::BinaryClassification, &labels, &predictions);
    let good = EvaluateDefinition::new(vec![Metric::Auc]);
    check_refused(&EvaluateDefinition::new(vec![]), &data, BAD_EVALUATION);
    check_refused(&EvaluateDefinition::new(vec![Metric::Auc, Metric::Auc]), &data, BAD_EVALUATION);
    check_refused(&EvaluateDefinition { threshold: 1.0, ..good.clone() }, &data, BAD_EVALUATION);
    check_refused(&EvaluateDefinition { confidence: f64::NAN, ..good.clone() }, &data, BAD_EVALUATION);
    check_refused(&EvaluateDefinition::new(vec![Metric::Rmse]), &data, METRIC_OF_ANOTHER_TASK);
    check_refused(&good, &data.clone().champion("v1", &predictions[1..]), EVALUATION_ROWS_DIFFER);
    check_refused(&good, &data.clone().segment(carriers(7)), EVALUATION_ROWS_DIFFER);
    check_refused(&good, &EvaluationData::new(Task::BinaryClassification, &[2.0], &[0.5]), lw_stats::METRIC_INPUT);
    check_refused(&good, &EvaluationData::new(Task::BinaryClassification, &[], &[]), lw_stats::UNDEFINED_METRIC);
}

#[track_caller]
fn check_column(array: ArrayRef, want: &[&str]) {
    let labels = vec![0.5; array.len()];
    let data =
        EvaluationData::new(Task::Regression, &labels, &labels).segment(SegmentColumn::from_array("column", &array).unwrap());
    let definition = EvaluateDefinition { min_segment_rows: 1, ..EvaluateDefinition::new(vec![Metric::Mae]) };
    let report = evaluate(&definition, &data, 1).unwrap();
    assert_eq!(report.segments.iter().map(|segment| segment.value.as_str()).collect::<Vec<_>>(), want);
}

#[test]
fn columns_of_many_types_segment() {
    check_column(Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("b")])), &["(missing)", "a", "b"]);
    check_column(Arc::new(BooleanArray::from(vec![true, false])), &["false", "true"]);
    check_column(Arc::new(Int64Array::from(vec![3, 1])), &["1", "3"]);
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
    let map = arrow::array::StructArray::from(vec![(
        Arc::new(arrow::datatypes::Field::new("list", arrow::array::Array::data_type(&list).clone(), true)),
        Arc::new(list) as ArrayRef,
    )]);
    assert!(SegmentColumn::from_array("column", &map).unwrap_err().is(BAD_SEGMENT_COLUMN));
}

#[test]
fn definitions_read_like_the_model_file() {
    let text = r#"{"metrics": ["auc", "log_loss"], "segments": ["carrier"], "min_segment_rows": 50}"#;
    let definition: EvaluateDefinition = serde_json::from_str(text).unwrap();
    assert_eq!((definition.threshold, definition.confidence, definition.min_segment_rows), (0.5, 0.95, 50));
    assert!(serde_json::from_str::<EvaluateDefinition>(r#"{"metrics": ["auc"], "segment": []}"#).is_err());
    assert!(serde_json::from_str::<EvaluateDefinition>(r#"{"metrics": ["speed"]}"#).is_err());
}

#[test]
fn the_markdown_names_every_number_a_reader_needs() {
    let text = report(2_000).to_markdown();
    for wanted in [
        "# Evaluation",
        "| log_loss |",
        "## Champion: late_arrival@3",
        "## By carrier",
        "| other (2 rare values) | 100 |",
        "## Calibration",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    let widths: Vec<usize> = text
        .lines()
        .filter(|line| line.contains("carrier |") || line.starts_with("| AA"))
        .map(|line| line.matches('|').count())
        .collect();
    assert!(widths.len() == 2 && widths[0] == widths[1], "{text}");
}
