//! Holding the facts of a report against the gates.

use std::fmt;

use lw_core::Name;
use serde::{Deserialize, Serialize};

use crate::gate::Rule;
use crate::{Facts, GateDefinition, Rival, RivalFacts, SegmentFacts};

/// What the gates said about a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    pub outcomes: Vec<GateOutcome>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateOutcome {
    pub gate: Name,
    pub verdict: GateVerdict,
    /// One sentence without a full stop, such as `auc is 0.61, below 0.65`.
    pub explanation: String,
    /// The number that decided: of the whole, or of the worst segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What it was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateVerdict {
    Passed,
    Refused,
}

impl GateReport {
    /// Whether every gate passed. Without gates there is nothing that could refuse.
    pub fn has_passed(&self) -> bool {
        self.refusals().next().is_none()
    }

    pub fn refusals(&self) -> impl Iterator<Item = &GateOutcome> {
        self.outcomes.iter().filter(|outcome| outcome.verdict == GateVerdict::Refused)
    }

    /// One line: what refused, or how many passed.
    pub fn summary(&self) -> String {
        let refusals: Vec<String> = self.refusals().map(|outcome| format!("{}: {}", outcome.gate, outcome.explanation)).collect();
        match (refusals.as_slice(), self.outcomes.len()) {
            ([], 0) => "no gates to pass".to_owned(),
            ([], 1) => "the gate passed".to_owned(),
            ([], n_gates) => format!("all {n_gates} gates passed"),
            (refusals, _) => refusals.join("; "),
        }
    }
}

/// Holds the facts of a report against the gates. `champion` is the version that serves now, such as `late_arrival@3`.
///
/// What cannot be shown is refused: a metric that is missing, segments that are missing, a comparison with a version that is not
/// the champion any more.
pub fn decide(gates: &[GateDefinition], facts: &Facts, champion: Option<&str>) -> GateReport {
    GateReport { outcomes: gates.iter().map(|gate| decide_one(gate, facts, champion)).collect() }
}

fn decide_one(gate: &GateDefinition, facts: &Facts, champion: Option<&str>) -> GateOutcome {
    let rule = match gate.check().and_then(|()| gate.rule()) {
        Ok(rule) => rule,
        Err(error) => return refused(gate, error.message().to_owned()),
    };
    match (rule, &gate.segment) {
        (Rule::BetterThan { rival: Rival::Champion, .. }, _) if champion.is_none() => GateOutcome {
            gate: gate.name.clone(),
            verdict: GateVerdict::Passed,
            explanation: "there is no champion to beat yet".to_owned(),
            value: None,
            bound: None,
        },
        (Rule::BetterThan { rival: Rival::Champion, margin }, _) => {
            let stale = facts.champion.as_ref().filter(|rival| Some(rival.against.as_str()) != champion);
            match stale {
                Some(rival) => refused(
                    gate,
                    format!("the report compares with {}, but the champion is {}", rival.against, champion.unwrap_or("none")),
                ),
                None => against(gate, facts.champion.as_ref(), "champion", margin),
            }
        }
        (Rule::BetterThan { rival: Rival::Baseline, .. }, _) if facts.is_baseline => refused(
            gate,
            "the version is the baseline itself, because no candidate that learns was better on the hold-out; give it more telling \
             features, a longer `train.window` or other parameters"
                .to_owned(),
        ),
        (Rule::BetterThan { rival: Rival::Baseline, margin }, _) => against(gate, facts.baseline.as_ref(), "baseline", margin),
        (rule, Some(column)) => in_segments(gate, rule, facts.segments.get(column).map_or(&[], Vec::as_slice), column),
        (rule, None) => match facts.metrics.get(&gate.metric) {
            Some(value) => bounded(gate, rule, *value, ""),
            None => refused(gate, format!("the report has no {}", gate.metric)),
        },
    }
}

/// Every judged segment must keep the bound; the worst one is told.
fn in_segments(gate: &GateDefinition, rule: Rule, segments: &[SegmentFacts], column: &str) -> GateOutcome {
    let judged: Vec<&SegmentFacts> = segments.iter().filter(|segment| !segment.is_small).collect();
    if judged.is_empty() {
        return refused(gate, format!("no segment of {column} has enough rows to judge by"));
    }
    if let Some(segment) = judged.iter().find(|segment| !segment.metrics.contains_key(&gate.metric)) {
        return refused(gate, format!("{column} {} has no {}", segment.value, gate.metric));
    }
    let value = |segment: &SegmentFacts| segment.metrics[&gate.metric];
    let is_at_least = matches!(rule, Rule::AtLeast(_));
    let worst = judged.iter().copied().reduce(|worst, segment| {
        let is_worse =
            value(segment).is_nan() || if is_at_least { value(segment) < value(worst) } else { value(segment) > value(worst) };
        if is_worse { segment } else { worst }
    });
    worst.map_or_else(
        || refused(gate, format!("the report has no segments of {column}")),
        |worst| bounded(gate, rule, value(worst), &format!(" for {column} {} ({} rows)", worst.value, worst.n_rows)),
    )
}

fn bounded(gate: &GateDefinition, rule: Rule, value: f64, place: &str) -> GateOutcome {
    let (has_passed, bound, passed_words, refused_words) = match rule {
        Rule::AtMost(bound) => (value <= bound, bound, "at most", "above"),
        Rule::AtLeast(bound) | Rule::BetterThan { margin: bound, .. } => (value >= bound, bound, "at least", "below"),
    };
    let words = if has_passed { passed_words } else { refused_words };
    let [value_text, bound_text] = distinct(value, bound);
    GateOutcome {
        gate: gate.name.clone(),
        verdict: if has_passed { GateVerdict::Passed } else { GateVerdict::Refused },
        explanation: format!("{} is {value_text}{place}, {words} {bound_text}", gate.metric),
        value: Some(value),
        bound: Some(bound),
    }
}

fn against(gate: &GateDefinition, rival: Option<&RivalFacts>, what: &str, margin: f64) -> GateOutcome {
    let Some(rival) = rival else {
        return refused(gate, format!("the report has no comparison with the {what}"));
    };
    let Some(metric) = rival.metrics.get(&gate.metric) else {
        return refused(gate, format!("the comparison with the {what} {} has no {}", rival.against, gate.metric));
    };
    let improvement = gate.metric.improvement(metric.candidate, metric.rival);
    let has_passed = improvement > margin;
    let words = if has_passed { "better than" } else { "not better than" };
    let by =
        if margin > 0.0 { format!(" by more than {}", Figure { value: margin, n_digits: FIGURE_DIGITS }) } else { String::new() };
    let [candidate_text, rival_text] = distinct(metric.candidate, metric.rival);
    GateOutcome {
        gate: gate.name.clone(),
        verdict: if has_passed { GateVerdict::Passed } else { GateVerdict::Refused },
        explanation: format!("{} is {candidate_text}, {words} the {what}'s {rival_text} ({}){by}", gate.metric, rival.against),
        value: Some(metric.candidate),
        bound: Some(metric.rival),
    }
}

fn refused(gate: &GateDefinition, explanation: String) -> GateOutcome {
    GateOutcome { gate: gate.name.clone(), verdict: GateVerdict::Refused, explanation, value: None, bound: None }
}

/// Two numbers with so many digits that different ones do not look the same: a gate that refuses 0.6028 because of 0.6028 explains
/// nothing.
fn distinct(one: f64, other: f64) -> [String; 2] {
    let texts = |n_digits| [one, other].map(|value| Figure { value, n_digits }.to_string());
    let is_told = |texts: &[String; 2]| texts[0] != texts[1];
    let short = texts(FIGURE_DIGITS);
    if is_told(&short) || one.to_bits() == other.to_bits() {
        return short;
    }
    (FIGURE_DIGITS + 1..=MAX_FIGURE_DIGITS)
        .map(texts)
        .find(is_told)
        .unwrap_or_else(|| [one, other].map(|value| value.to_string()))
}

const FIGURE_DIGITS: usize = 4;
const MAX_FIGURE_DIGITS: usize = 12;

/// A number with some digits after the point, without the zeros at its end.
struct Figure {
    value: f64,
    n_digits: usize,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.*}", self.n_digits, self.value);
        f.write_str(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BAD_GATE, RivalMetric};
    use lw_evaluation::Metric;
    use serde_json::json;

    fn facts() -> Facts {
        let segment = |value: &str, n_rows: u64, auc: Option<f64>| SegmentFacts {
            value: value.to_owned(),
            n_rows,
            is_small: n_rows < 200,
            metrics: auc.map(|auc| (Metric::Auc, auc)).into_iter().collect(),
        };
        let rival = |against: &str| RivalFacts {
            against: against.to_owned(),
            metrics: [(Metric::LogLoss, RivalMetric { candidate: 0.50, rival: 0.55 })].into(),
        };
        Facts { champion: Some(rival("m@3")), baseline: Some(rival("baseline")), ..Facts::default() }
            .metric(Metric::Auc, 0.71)
            .metric(Metric::Ece, 0.02)
            .segment("carrier", segment("AA", 900, Some(0.72)))
            .segment("carrier", segment("HA", 20, Some(0.1)))
            .segment("carrier", segment("B6", 500, Some(0.58)))
            .segment("origin", segment("EWR", 500, None))
            .segment("dest", segment("ANC", 5, Some(0.5)))
    }

    #[track_caller]
    fn check(gate: serde_json::Value, champion: Option<&str>, want: GateVerdict, explanation: &str) {
        let mut gate = gate;
        gate["name"] = "g".into();
        let gate: GateDefinition = serde_json::from_value(gate).unwrap();
        let outcome = decide(&[gate], &facts(), champion).outcomes.remove(0);
        assert_eq!((outcome.verdict, outcome.explanation.as_str()), (want, explanation));
    }

    use GateVerdict::{Passed, Refused};

    #[test]
    fn bounds_include_their_ends() {
        check(json!({"metric": "auc", "at_least": 0.71}), None, Passed, "auc is 0.71, at least 0.71");
        check(json!({"metric": "auc", "at_least": 0.7101}), None, Refused, "auc is 0.71, below 0.7101");
        check(json!({"metric": "ece", "at_most": 0.02}), None, Passed, "ece is 0.02, at most 0.02");
        check(json!({"metric": "ece", "at_most": 0.01}), None, Refused, "ece is 0.02, above 0.01");
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        check(json!({"metric": "brier", "at_most": 1.0}), None, Refused, "the report has no brier");
        check(
            json!({"metric": "auc", "segment": "tail", "at_least": 0.1}),
            None,
            Refused,
            "no segment of tail has enough rows to judge by",
        );
        check(
            json!({"metric": "auc", "segment": "dest", "at_least": 0.1}),
            None,
            Refused,
            "no segment of dest has enough rows to judge by",
        );
        check(json!({"metric": "auc", "segment": "origin", "at_least": 0.1}), None, Refused, "origin EWR has no auc");
        check(
            json!({"metric": "auc", "better_than": "champion"}),
            Some("m@3"),
            Refused,
            "the comparison with the champion m@3 has no auc",
        );
    }

    #[test]
    fn every_segment_with_enough_rows_must_pass() {
        check(
            json!({"metric": "auc", "segment": "carrier", "at_least": 0.58}),
            None,
            Passed,
            "auc is 0.58 for carrier B6 (500 rows), at least 0.58",
        );
        check(
            json!({"metric": "auc", "segment": "carrier", "at_least": 0.6}),
            None,
            Refused,
            "auc is 0.58 for carrier B6 (500 rows), below 0.6",
        );
        check(
            json!({"metric": "auc", "segment": "carrier", "at_most": 0.7}),
            None,
            Refused,
            "auc is 0.72 for carrier AA (900 rows), above 0.7",
        );
    }

    #[test]
    fn the_champion_must_be_beaten_by_more_than_the_margin() {
        let gate = |margin: f64| json!({"metric": "log_loss", "better_than": "champion", "margin": margin});
        check(gate(0.0), Some("m@3"), Passed, "log_loss is 0.5, better than the champion's 0.55 (m@3)");
        check(gate(0.04), Some("m@3"), Passed, "log_loss is 0.5, better than the champion's 0.55 (m@3) by more than 0.04");
        check(gate(0.06), Some("m@3"), Refused, "log_loss is 0.5, not better than the champion's 0.55 (m@3) by more than 0.06");
        check(gate(0.0), Some("m@4"), Refused, "the report compares with m@3, but the champion is m@4");
        check(gate(0.0), None, Passed, "there is no champion to beat yet");
        check(
            json!({"metric": "log_loss", "better_than": "baseline"}),
            None,
            Passed,
            "log_loss is 0.5, better than the baseline's 0.55 (baseline)",
        );
    }

    #[test]
    fn a_baseline_is_not_better_than_itself() {
        let facts = Facts { is_baseline: true, baseline: None, ..facts() };
        let gate = serde_json::from_value(json!({"name": "g", "metric": "log_loss", "better_than": "baseline"})).unwrap();
        let outcome = decide(&[gate], &facts, None).outcomes.remove(0);
        assert_eq!(outcome.verdict, Refused);
        assert!(outcome.explanation.starts_with("the version is the baseline itself, because no candidate"), "{outcome:?}");
    }

    #[test]
    fn a_tie_keeps_the_champion() {
        let mut facts = facts();
        facts.champion.as_mut().unwrap().metrics.insert(Metric::LogLoss, RivalMetric { candidate: 0.55, rival: 0.55 });
        let gate = serde_json::from_value(json!({"name": "g", "metric": "log_loss", "better_than": "champion"})).unwrap();
        assert!(!decide(&[gate], &facts, Some("m@3")).has_passed());
    }

    #[test]
    fn numbers_that_differ_look_different() {
        let check = |one: f64, other: f64, want: [&str; 2]| assert_eq!(distinct(one, other), want);
        check(0.5, 0.55, ["0.5", "0.55"]);
        check(0.602_81, 0.602_84, ["0.60281", "0.60284"]);
        check(0.602_800_04, 0.6028, ["0.60280004", "0.6028"]);
        check(0.6028, 0.6028, ["0.6028", "0.6028"]);
        check(1e-300, 0.0, [&1e-300_f64.to_string(), "0"]);
    }

    #[test]
    fn a_missing_or_undefined_number_never_passes() {
        let gate = |bound: &str| serde_json::from_value(json!({"name": "g", "metric": "auc", bound: 0.5})).unwrap();
        let facts = Facts::default().metric(Metric::Auc, f64::NAN);
        assert!(!decide(&[gate("at_least"), gate("at_most")], &facts, None).has_passed());
        assert_eq!(decide(&[gate("at_least"), gate("at_most")], &facts, None).refusals().count(), 2);
    }

    #[test]
    fn gates_that_make_no_sense_are_named() {
        let check = |gate: serde_json::Value, words: &str| {
            let mut gate = gate;
            gate["name"] = "g".into();
            gate["metric"] = "auc".into();
            let gate: GateDefinition = serde_json::from_value(gate).unwrap();
            let error = gate.check().unwrap_err();
            assert!(error.is(BAD_GATE) && error.message().contains(words), "{error}");
            assert!(!decide(&[gate], &facts(), None).has_passed());
        };
        check(json!({}), "exactly one");
        check(json!({"at_least": 0.1, "at_most": 0.2}), "exactly one");
        check(json!({"at_least": 0.1, "margin": 0.2}), "without `better_than`");
        check(json!({"better_than": "champion", "margin": -0.1}), "negative");
        check(json!({"better_than": "champion", "segment": "carrier"}), "stand together");
        assert!(serde_json::from_value::<GateDefinition>(json!({"name": "g", "metric": "auc", "at_leest": 1.0})).is_err());
    }
}
