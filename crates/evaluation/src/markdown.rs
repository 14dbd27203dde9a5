//! A report for people.

use std::fmt::Write;

use lw_stats::{Interval, Metric};

use crate::{Comparison, Measurement, Report, Segment};

pub(crate) fn render(report: &Report) -> String {
    let mut out = String::new();
    overall(report, &mut out);
    for (title, comparison) in [("Champion", &report.champion), ("Baseline", &report.baseline)] {
        if let Some(comparison) = comparison {
            compared(title, comparison, &mut out);
        }
    }
    segments(report, &mut out);
    calibration(report, &mut out);
    out
}

fn overall(report: &Report, out: &mut String) {
    let positive = report.n_positive.map_or(String::new(), |n| format!(", {n} of them positive"));
    line(out, &format!("# Evaluation\n\n{} rows{positive}.\n", report.n_rows));
    line(out, &format!("| metric | value | {:.0} % interval |\n|---|---:|---|", report.confidence * 100.0));
    for (metric, measurement) in &report.metrics {
        line(out, &format!("| {metric} | {} | {} |", value(measurement), interval(measurement.interval.as_ref())));
    }
    for measurement in report.metrics.values() {
        if let Some(reason) = &measurement.undefined {
            line(out, &format!("\n{reason}."));
        }
    }
}

fn compared(title: &str, comparison: &Comparison, out: &mut String) {
    line(out, &format!("\n## {title}: {}\n", comparison.against));
    line(out, "| metric | this model | other | better by | interval | p |\n|---|---:|---:|---:|---|---:|");
    for (metric, difference) in &comparison.metrics {
        let p_value = difference.p_value.map_or_else(|| "–".to_owned(), |p| format!("{p:.3}"));
        let interval = interval(difference.interval.as_ref());
        let (candidate, reference) = (difference.candidate, difference.reference);
        line(
            out,
            &format!("| {metric} | {candidate:.4} | {reference:.4} | {:+.4} | {interval} | {p_value} |", difference.improvement),
        );
    }
    for reason in comparison.undefined.values() {
        line(out, &format!("\n{reason}."));
    }
}

fn segments(report: &Report, out: &mut String) {
    let metrics: Vec<Metric> = report.metrics.keys().copied().collect();
    let mut column = None;
    for segment in &report.segments {
        if column.replace(segment.column.as_str()) != Some(segment.column.as_str()) {
            let names: String = metrics.iter().map(|metric| format!(" {metric} |")).collect();
            line(out, &format!("\n## By {}\n\n| {} | rows |{names}", segment.column, segment.column));
            line(out, &format!("|---|---:|{}", "---:|".repeat(metrics.len())));
        }
        let cells: String =
            metrics.iter().map(|metric| format!(" {} |", segment.metrics.get(metric).map_or("–".into(), value))).collect();
        line(out, &format!("| {} | {} |{cells}", segment_name(segment), segment.n_rows));
    }
}

fn segment_name(segment: &Segment) -> String {
    let value = segment.value.replace('|', "\\|").replace(['\n', '\r'], " ");
    let pooled = if segment.is_pooled { format!(" ({} rare values)", segment.n_values) } else { String::new() };
    let small = if segment.is_small { " (few rows)" } else { "" };
    format!("{value}{pooled}{small}")
}

fn calibration(report: &Report, out: &mut String) {
    if report.calibration.is_empty() {
        return;
    }
    line(out, "\n## Calibration\n\n| predicted | rows | mean prediction | outcome rate |\n|---|---:|---:|---:|");
    for bin in &report.calibration {
        let (mean, rate) = (bin.mean_prediction, bin.outcome_rate);
        line(out, &format!("| {:.1}–{:.1} | {} | {mean:.3} | {rate:.3} |", bin.lower, bin.upper, bin.n_rows));
    }
}

fn value(measurement: &Measurement) -> String {
    measurement.value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

fn interval(interval: Option<&Interval>) -> String {
    interval.map_or_else(|| "–".to_owned(), |interval| format!("{:.4} to {:.4}", interval.low, interval.high))
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}
