//! Refused requests that the ledger remembers, so that an attempt is found later, and cannot flood the ledger either.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lw_core::{Actor, Span, Timestamp};
use lw_governance::Action;

/// Refusals of the same actor and action within this time are one entry.
const INTERVAL: Span = Span::from_secs(60);

/// What was refused lately. It holds a few words for each identity and action, of which there are few.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<(Actor, Action), Last>>);

#[derive(Debug, Clone, Copy)]
struct Last {
    recorded_at: Timestamp,
    n_unrecorded: u64,
}

impl Refusals {
    /// Whether this refusal is to be recorded, and then how many before it were not.
    pub fn note(&self, actor: &Actor, action: Action, now: Timestamp) -> Option<u64> {
        let mut lasts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = lasts.get_mut(&(actor.clone(), action)) else {
            lasts.insert((actor.clone(), action), Last { recorded_at: now, n_unrecorded: 0 });
            return Some(0);
        };
        if now < last.recorded_at + INTERVAL {
            last.n_unrecorded += 1;
            return None;
        }
        let n_unrecorded = last.n_unrecorded;
        *last = Last { recorded_at: now, n_unrecorded: 0 };
        Some(n_unrecorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_and_an_action_are_recorded_once_a_minute() {
        let (refusals, bo, start) = (Refusals::default(), Actor::new("bo"), Timestamp::from_micros(0));
        let note = |action, secs| refusals.note(&bo, action, start + Span::from_secs(secs));
        assert_eq!(note(Action::Read, 0), Some(0));
        assert_eq!((note(Action::Read, 1), note(Action::Read, 59)), (None, None));
        assert_eq!(note(Action::Deploy, 2), Some(0), "another action is another entry");
        assert_eq!(note(Action::Read, 60), Some(2));
        assert_eq!(note(Action::Read, 300), Some(0));
    }
}
