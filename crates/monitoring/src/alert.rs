//! Alerts as state machines: what a row of verdicts amounts to.

use lw_core::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Verdict;

/// Where an alert stands. Times are ends of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AlertState {
    /// Never fired.
    Ok,
    /// Bad for some windows, not yet for as many as it takes.
    Pending { since: Timestamp, n_windows: u32 },
    /// Bad since the first of the windows that made it fire.
    Firing { since: Timestamp, fired_at: Timestamp },
    /// Good again after it fired.
    Resolved { at: Timestamp },
}

impl AlertState {
    /// The state after one more window. An undecided window changes nothing; one good window resolves.
    #[must_use]
    pub fn after(self, verdict: Verdict, window_end: Timestamp, n_windows_to_fire: u32) -> Self {
        match (self, verdict) {
            (_, Verdict::Undecided) | (Self::Firing { .. }, Verdict::Breach) => self,
            (Self::Firing { .. }, Verdict::Healthy) => Self::Resolved { at: window_end },
            (Self::Pending { .. }, Verdict::Healthy) => Self::Ok,
            (Self::Ok | Self::Resolved { .. }, Verdict::Healthy) => self,
            (Self::Ok | Self::Resolved { .. }, Verdict::Breach) => Self::breached(window_end, 1, window_end, n_windows_to_fire),
            (Self::Pending { since, n_windows }, Verdict::Breach) => {
                Self::breached(since, n_windows.saturating_add(1), window_end, n_windows_to_fire)
            }
        }
    }

    fn breached(since: Timestamp, n_windows: u32, window_end: Timestamp, n_windows_to_fire: u32) -> Self {
        if n_windows >= n_windows_to_fire {
            return Self::Firing { since, fired_at: window_end };
        }
        Self::Pending { since, n_windows }
    }

    /// The state in which a new model version takes over: it has done nothing wrong yet.
    #[must_use]
    pub fn superseded(self, window_end: Timestamp) -> Self {
        match self {
            Self::Firing { .. } => Self::Resolved { at: window_end },
            Self::Pending { .. } => Self::Ok,
            Self::Ok | Self::Resolved { .. } => self,
        }
    }

    pub fn is_firing(self) -> bool {
        matches!(self, Self::Firing { .. })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending { .. } => "pending",
            Self::Firing { .. } => "firing",
            Self::Resolved { .. } => "resolved",
        }
    }

    /// The ledger's word for coming into this state.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Ok => "alert.clear",
            Self::Pending { .. } => "alert.suspect",
            Self::Firing { .. } => "alert.fire",
            Self::Resolved { .. } => "alert.resolve",
        }
    }
}

/// The alert of one monitor of a model, as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub model: Name,
    pub monitor: Name,
    /// The model version whose windows led here.
    pub version: u64,
    #[serde(flatten)]
    pub state: AlertState,
    /// The end of the window that changed it last.
    pub window_end: Timestamp,
    pub changed_at: Timestamp,
    /// What was bad then: `carrier_delay_24h psi 0.31 > 0.25`.
    pub reasons: Vec<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(window: i64) -> Timestamp {
        Timestamp::from_micros(window)
    }

    /// `B` breach, `H` healthy, `U` undecided; the names of the states they lead through.
    #[track_caller]
    fn check(verdicts: &str, n_windows_to_fire: u32, want: &str) {
        let mut state = AlertState::Ok;
        let states = verdicts.chars().zip(1..).map(|(letter, window)| {
            let verdict = match letter {
                'B' => Verdict::Breach,
                'H' => Verdict::Healthy,
                _ => Verdict::Undecided,
            };
            state = state.after(verdict, at(window), n_windows_to_fire);
            state.name()
        });
        assert_eq!(states.collect::<Vec<_>>().join(" "), want);
    }

    #[test]
    fn alerts_fire_after_enough_bad_windows_in_a_row() {
        check("HBH", 1, "ok firing resolved");
        check("BB", 2, "pending firing");
        check("BHB", 2, "pending ok pending");
        check("BUB", 2, "pending pending firing");
        check("BBUBHBB", 2, "pending firing firing firing resolved pending firing");
        check("UUH", 1, "ok ok ok");
    }

    #[test]
    fn a_firing_alert_knows_when_it_began() {
        let state = AlertState::Ok.after(Verdict::Breach, at(3), 2).after(Verdict::Breach, at(4), 2);
        assert_eq!(state, AlertState::Firing { since: at(3), fired_at: at(4) });
        assert_eq!(state.superseded(at(5)), AlertState::Resolved { at: at(5) });
    }

    proptest! {
        #[test]
        fn an_alert_fires_exactly_when_the_last_windows_were_bad(
            verdicts in prop::collection::vec(prop::sample::select(vec![Verdict::Healthy, Verdict::Breach, Verdict::Undecided]), 1..40),
            n_windows_to_fire in 1_u32..5,
        ) {
            let mut state = AlertState::Ok;
            let mut n_bad = 0_u32;
            for (verdict, window) in verdicts.into_iter().zip(1..) {
                state = state.after(verdict, at(window), n_windows_to_fire);
                match verdict {
                    Verdict::Breach => n_bad += 1,
                    Verdict::Healthy => n_bad = 0,
                    Verdict::Undecided => {}
                }
                prop_assert_eq!(state.is_firing(), n_bad >= n_windows_to_fire);
            }
        }
    }
}
