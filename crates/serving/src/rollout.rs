//! Rollouts: a new version takes a share of the traffic first, and its labels decide what becomes of it.

use lw_core::{Span, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `rollout:` part of a model file.
///
/// ```yaml
/// rollout: {canary: 0.1, for: 3d, min_labels: 300, metric: log_loss, tolerance: 0.02}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutDefinition {
    /// The share of entities that the new version answers, above 0 and below 1.
    pub canary: f64,
    /// How long the canary runs at least.
    #[serde(rename = "for")]
    pub duration: Span,
    /// How many labels each side needs before the metric counts.
    pub min_labels: u64,
    /// The metric that decides, such as `log_loss`.
    pub metric: String,
    /// How much worse than the champion the canary may be.
    #[serde(default)]
    pub tolerance: f64,
}

/// What one side of the split has done since the canary started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Side {
    pub n_labels: u64,
    /// The metric over the labelled predictions. None while it cannot be computed, as AUC over one class.
    pub metric: Option<f64>,
    pub n_answered: u64,
    pub n_failed: u64,
}

/// Everything that the rule looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutFacts {
    pub now: Timestamp,
    pub started_at: Timestamp,
    /// Whether a larger value of the metric is the better one.
    pub higher_is_better: bool,
    pub champion: Side,
    pub canary: Side,
}

/// What the rule says, with the reason that goes into the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutVerdict {
    Promote(String),
    RollBack(String),
    Wait(String),
}

/// A canary that fails this much more often than the champion is rolled back, whatever its labels say.
const MAX_FAILURE_EXCESS: f64 = 0.01;
const MIN_ANSWERS_FOR_FAILURES: u64 = 100;

/// Decides a rollout. Failures and a clearly worse metric end it at once; only time and enough labels promote.
///
/// ```
/// use lw_core::{Span, Timestamp};
/// use lw_serving::{RolloutDefinition, RolloutFacts, RolloutVerdict, Side, decide_rollout};
///
/// let definition = RolloutDefinition {
///     canary: 0.1, duration: Span::from_days(3), min_labels: 300, metric: "log_loss".to_owned(), tolerance: 0.02,
/// };
/// let side = |metric| Side { n_labels: 400, metric: Some(metric), n_answered: 900, n_failed: 0 };
/// let start = Timestamp::parse("2013-06-01")?;
/// let facts = RolloutFacts {
///     now: start + Span::from_days(3), started_at: start, higher_is_better: false, champion: side(0.55), canary: side(0.53),
/// };
/// assert!(matches!(decide_rollout(&definition, &facts), RolloutVerdict::Promote(_)));
/// # Ok::<(), lw_core::Error>(())
/// ```
pub fn decide_rollout(definition: &RolloutDefinition, facts: &RolloutFacts) -> RolloutVerdict {
    if let Some(reason) = fails_more(&facts.champion, &facts.canary) {
        return RolloutVerdict::RollBack(reason);
    }
    let metric = &definition.metric;
    let n_labels = facts.canary.n_labels.min(facts.champion.n_labels);
    if n_labels < definition.min_labels {
        return RolloutVerdict::Wait(format!("{n_labels} of {} labels have arrived", definition.min_labels));
    }
    let (Some(champion), Some(canary)) = (facts.champion.metric, facts.canary.metric) else {
        return RolloutVerdict::Wait(format!("{metric} cannot be computed yet"));
    };
    let loss = if facts.higher_is_better { champion - canary } else { canary - champion };
    let figures = format!("{metric} {canary:.4} against the champion's {champion:.4}");
    // A metric that is no number is no reason to trust the canary.
    if loss.is_nan() || loss > definition.tolerance {
        return RolloutVerdict::RollBack(format!("{figures}, more than {} worse", definition.tolerance));
    }
    let elapsed = facts.now - facts.started_at;
    if elapsed < definition.duration {
        return RolloutVerdict::Wait(format!("{figures}; runs until {}", facts.started_at + definition.duration));
    }
    RolloutVerdict::Promote(format!("{figures} over {n_labels} labels"))
}

fn fails_more(champion: &Side, canary: &Side) -> Option<String> {
    if canary.n_answered + canary.n_failed < MIN_ANSWERS_FOR_FAILURES {
        return None;
    }
    let share = |side: &Side| side.n_failed as f64 / (side.n_answered + side.n_failed).max(1) as f64;
    let excess = share(canary) - share(champion);
    (excess > MAX_FAILURE_EXCESS).then(|| {
        format!("{:.1} % of its requests failed, {:.1} % of the champion's", 100.0 * share(canary), 100.0 * share(champion))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[derive(Clone, Copy)]
    struct Case {
        days: i64,
        n_labels: u64,
        champion: Option<f64>,
        canary: Option<f64>,
        n_failed: u64,
        higher_is_better: bool,
    }

    const GOOD: Case =
        Case { days: 3, n_labels: 300, champion: Some(0.55), canary: Some(0.55), n_failed: 0, higher_is_better: false };

    #[track_caller]
    fn check(case: Case, want: &str) {
        let definition = RolloutDefinition {
            canary: 0.1,
            duration: Span::from_days(3),
            min_labels: 300,
            metric: "log_loss".to_owned(),
            tolerance: 0.02,
        };
        let side = |metric, n_failed| Side { n_labels: case.n_labels, metric, n_answered: 1000, n_failed };
        let facts = RolloutFacts {
            now: Timestamp::from_micros(case.days * DAY),
            started_at: Timestamp::from_micros(0),
            higher_is_better: case.higher_is_better,
            champion: side(case.champion, 0),
            canary: side(case.canary, case.n_failed),
        };
        let verdict = decide_rollout(&definition, &facts);
        assert!(format!("{verdict:?}").starts_with(want), "{verdict:?}");
    }

    #[test]
    fn time_labels_and_quality_promote() {
        check(GOOD, "Promote");
        check(Case { canary: Some(0.56), ..GOOD }, "Promote");
        check(Case { days: 2, ..GOOD }, "Wait");
        check(Case { n_labels: 299, ..GOOD }, "Wait");
        check(Case { canary: None, ..GOOD }, "Wait");
    }

    #[test]
    fn a_worse_canary_is_rolled_back_before_its_time() {
        check(Case { days: 1, canary: Some(0.60), ..GOOD }, "RollBack");
        check(Case { days: 1, canary: Some(f64::NAN), ..GOOD }, "RollBack");
        check(Case { days: 1, canary: Some(0.60), n_labels: 10, ..GOOD }, "Wait");
        check(Case { canary: Some(0.50), higher_is_better: true, ..GOOD }, "RollBack");
        check(Case { canary: Some(0.60), higher_is_better: true, ..GOOD }, "Promote");
    }

    #[test]
    fn failures_outweigh_labels() {
        check(Case { days: 0, n_labels: 0, n_failed: 50, ..GOOD }, "RollBack");
        check(Case { n_failed: 5, ..GOOD }, "Promote");
    }
}
