//! What every operation is told about who asks, when, and how to name things.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Clock, IdSource, RandomIds, SystemClock, Timestamp};

/// Who acts: a person (`ana`), a service (`service:ci`) or the platform itself (`loopwright:monitor`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(Arc<str>);

impl Actor {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a person acts. Only people approve.
    pub fn is_person(&self) -> bool {
        !self.0.contains(':')
    }

    /// Whether both are names of one actor. Names that differ in capital letters alone are: `Ana` is no second pair of eyes for `ana`.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The surroundings of one operation. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub actor: Actor,
    pub request_id: Arc<str>,
}

impl Ctx {
    /// The real clock and random ids.
    pub fn real(actor: Actor, request_id: impl Into<Arc<str>>) -> Self {
        Self { clock: Arc::new(SystemClock), ids: Arc::new(RandomIds), actor, request_id: request_id.into() }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The same surroundings for another actor.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx").field("actor", &self.actor).field("request_id", &self.request_id).finish_non_exhaustive()
    }
}
