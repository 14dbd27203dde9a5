//! When a firing alert asks for a retraining.

use lw_core::{Name, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{AlertState, TimeWindow};

/// The outbox topic that requests leave on; the payload is a [`RetrainRequest`].
pub const RETRAIN_TOPIC: &str = "retrain.requested";

/// Which monitors start a retraining, and how long to leave it after one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrainPolicy {
    pub on: Vec<Name>,
    pub cooldown: Span,
}

/// The message to whoever runs the loop: train this model again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrainRequest {
    pub model: Name,
    /// The version whose monitor fired.
    pub version: u64,
    pub monitor: Name,
    pub window: TimeWindow,
    pub requested_at: Timestamp,
    pub reasons: Vec<String>,
}

impl RetrainRequest {
    /// One request for each model, monitor and window, whoever asks how often.
    pub fn dedupe_key(&self) -> String {
        format!("{}/{}/{}", self.model, self.monitor, self.window.end)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum RetrainDecision {
    /// The alert does not fire, or nobody wants a retraining for it.
    Leave,
    Request,
    /// The last request is too recent. A later window asks again if the alert still fires then.
    CoolDown {
        until: Timestamp,
    },
}

/// Decides after a window. While an alert fires it asks again after each cooldown: a retraining that a gate refused may
/// succeed with more data.
pub(crate) fn decide(
    policy: Option<&RetrainPolicy>,
    monitor: &Name,
    state: AlertState,
    last_request: Option<Timestamp>,
    now: Timestamp,
) -> RetrainDecision {
    let Some(policy) = policy.filter(|policy| state.is_firing() && policy.on.contains(monitor)) else {
        return RetrainDecision::Leave;
    };
    match last_request.map(|last| last + policy.cooldown) {
        Some(until) if now < until => RetrainDecision::CoolDown { until },
        _ => RetrainDecision::Request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRING: AlertState = AlertState::Firing { since: Timestamp::from_micros(0), fired_at: Timestamp::from_micros(0) };

    #[track_caller]
    fn check(monitor: &str, state: AlertState, last_day: Option<i64>, today: i64, want: RetrainDecision) {
        let name = |text| Name::parse(text).unwrap();
        let day = |n| Timestamp::from_micros(0) + Span::from_days(n);
        let policy = RetrainPolicy { on: vec![name("quality")], cooldown: Span::from_days(14) };
        assert_eq!(decide(Some(&policy), &name(monitor), state, last_day.map(day), day(today)), want);
        assert_eq!(decide(None, &name(monitor), state, last_day.map(day), day(today)), RetrainDecision::Leave);
    }

    #[test]
    fn only_a_firing_alert_of_a_named_monitor_asks_and_not_too_often() {
        let until = RetrainDecision::CoolDown { until: Timestamp::from_micros(0) + Span::from_days(24) };
        check("quality", FIRING, None, 3, RetrainDecision::Request);
        check("quality", FIRING, Some(10), 23, until);
        check("quality", FIRING, Some(10), 24, RetrainDecision::Request);
        check("drift", FIRING, None, 3, RetrainDecision::Leave);
        check("quality", AlertState::Ok, None, 3, RetrainDecision::Leave);
    }
}
