//! What keeps a worker from its work: told once, not at every try, and visible to those who wait for a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lw_core::{Error, Failure};

/// Why the workers of this process cannot go on, and how often they have tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub failure: Failure,
    pub message: String,
    pub hint: Option<String>,
    pub n_tries: u32,
}

/// The first pause after a failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Trouble {
    /// How long to wait before the next try: 0.2 s, 0.4 s, 0.8 s and so on, at most 5 s.
    pub fn pause(&self) -> Duration {
        let doublings = self.n_tries.saturating_sub(1).min(16);
        FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
    }
}

/// A part of a worker that fails and recovers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    Claim,
    Report,
    Heartbeat,
    Log,
    Schedule,
}

impl Duty {
    fn name(self) -> &'static str {
        match self {
            Self::Claim => "steps cannot be claimed",
            Self::Report => "a step's end cannot be stored",
            Self::Heartbeat => "leases cannot be extended",
            Self::Log => "log lines cannot be stored",
            Self::Schedule => "schedules cannot be looked at",
        }
    }
}

/// The troubles of all workers of a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Troubles(Arc<Mutex<BTreeMap<Duty, Trouble>>>);

impl Troubles {
    /// Notes how a try went, and logs it if it went otherwise than the one before. Returns the trouble that stands.
    pub fn note<T>(&self, duty: Duty, outcome: Result<&T, &Error>) -> Option<Trouble> {
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match outcome {
            Ok(_) => {
                if let Some(over) = troubles.remove(&duty) {
                    tracing::info!(n_tries = over.n_tries, "No longer so after {} tries: {}", over.n_tries, duty.name());
                }
                return None;
            }
            Err(error) => error,
        };
        let before = troubles.get(&duty).map(|trouble| (trouble.failure, trouble.n_tries));
        if before.is_none_or(|(failure, _)| failure != error.failure()) {
            tracing::warn!(?error, "Trying again until it works: {}: {error}", duty.name());
        }
        let trouble = Trouble {
            failure: error.failure(),
            message: format!("{}: {error}", duty.name()),
            hint: error.hint_text().map(str::to_owned),
            n_tries: before.map_or(1, |(_, n_tries)| n_tries.saturating_add(1)),
        };
        troubles.insert(duty, trouble.clone());
        Some(trouble)
    }

    /// The one that has stood longest.
    pub fn worst(&self) -> Option<Trouble> {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.values().max_by_key(|trouble| trouble.n_tries).cloned()
    }
}

#[cfg(test)]
mod tests {
    use lw_core::Kind;

    use super::*;

    const FULL: Failure = Failure::new("disk-full", Kind::Unavailable);

    #[test]
    fn pauses_grow_to_some_seconds() {
        let troubles = Troubles::default();
        let error = FULL.error("no space").hint("make some");
        let pauses: Vec<u128> = (0..8)
            .filter_map(|_| troubles.note::<()>(Duty::Claim, Err(&error)))
            .map(|trouble| trouble.pause().as_millis())
            .collect();
        assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    }

    #[test]
    fn what_works_again_is_forgotten() {
        let troubles = Troubles::default();
        let error = FULL.error("no space").hint("make some");
        for _ in 0..3 {
            troubles.note::<()>(Duty::Report, Err(&error));
        }
        troubles.note::<()>(Duty::Claim, Err(&error));
        let worst = troubles.worst().expect("there is trouble");
        assert_eq!((worst.n_tries, worst.message.as_str()), (3, "a step's end cannot be stored: no space"));
        assert_eq!(worst.hint.as_deref(), Some("make some"));
        troubles.note(Duty::Report, Ok(&()));
        assert_eq!(troubles.worst().map(|trouble| trouble.n_tries), Some(1));
        troubles.note(Duty::Claim, Ok(&()));
        assert_eq!(troubles.worst(), None);
    }
}
