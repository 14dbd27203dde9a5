//! Which version answers which row.

use std::fmt;

use lw_core::{Digest, Name, Result, Subject, SubjectKind};
use serde::{Deserialize, Serialize};

use crate::failures::INVALID_ROUTING;

/// A model version as an endpoint serves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    pub model: Name,
    pub version: u64,
    /// Digest of the [`crate::Bundle`], which names the ONNX artifact by its own digest.
    pub bundle: Digest,
}

impl Served {
    pub fn subject(&self) -> Subject {
        Subject::new(SubjectKind::ModelVersion, &self.model, self.version)
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.model, self.version)
    }
}

/// A version that answers a share of the entities while it proves itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    pub served: Served,
    /// Above 0 and below 1.
    pub share: f64,
}

/// The versions behind an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    pub champion: Served,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Versions that score every row for the log only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<Served>,
}

/// The part that a version plays in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Champion,
    Canary,
    Shadow,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Canary => "canary",
            Self::Shadow => "shadow",
        }
    }
}

/// The most shadows behind one endpoint: each costs as much as the champion.
const MAX_SHADOWS: usize = 4;

impl Routing {
    pub fn only(champion: Served) -> Self {
        Self { champion, canary: None, shadows: Vec::new() }
    }

    /// Refuses a share outside (0, 1), a version in two parts, and too many shadows.
    pub fn check(&self) -> Result<()> {
        if let Some(canary) = &self.canary
            && !(canary.share > 0.0 && canary.share < 1.0)
        {
            return Err(INVALID_ROUTING
                .error(format!("a canary cannot take a share of {}", canary.share))
                .hint("give it a share above 0 and below 1, like 0.1; to give it everything, make it the champion"));
        }
        if self.shadows.len() > MAX_SHADOWS {
            return Err(INVALID_ROUTING
                .error(format!("{} shadows are too many", self.shadows.len()))
                .hint(format!("at most {MAX_SHADOWS}")));
        }
        let parts: Vec<&Served> = self.parts().map(|(_, served)| served).collect();
        let twice = parts.iter().enumerate().find(|(i, served)| parts.iter().take(*i).any(|other| other == *served));
        match twice {
            Some((_, served)) => Err(INVALID_ROUTING
                .error(format!("{served} plays two parts behind one endpoint"))
                .hint("name each version once, as champion, canary or shadow")),
            None => Ok(()),
        }
    }

    /// Every version with its part, the champion first.
    pub fn parts(&self) -> impl Iterator<Item = (Role, &Served)> {
        let canary = self.canary.iter().map(|canary| (Role::Canary, &canary.served));
        let shadows = self.shadows.iter().map(|served| (Role::Shadow, served));
        std::iter::once((Role::Champion, &self.champion)).chain(canary).chain(shadows)
    }
}

/// Sends a fixed share of entities to the canary: the same entity always gets the same version, and another canary
/// gets other entities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    seed: u64,
    /// Hashes below it go to the canary.
    threshold: u64,
}

impl Split {
    pub fn new(canary: &Canary) -> Self {
        // `as` saturates, and a checked share lies within (0, 1).
        Self { seed: hash(FNV_OFFSET, canary.served.to_string().as_bytes()), threshold: (canary.share * u64::MAX as f64) as u64 }
    }

    pub fn takes(self, entity: &str) -> bool {
        mix(hash(self.seed, entity.as_bytes())) < self.threshold
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a (Fowler, Noll, Vo, 1991), from a given state.
fn hash(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// The finalizer of MurmurHash3 (Appleby, 2011): spreads FNV's weak high bits, on which the threshold falls.
fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn served(version: u64) -> Served {
        Served { model: Name::parse("late_arrival").unwrap(), version, bundle: Digest::of(&version.to_le_bytes()) }
    }

    fn split(version: u64, share: f64) -> Split {
        Split::new(&Canary { served: served(version), share })
    }

    #[track_caller]
    fn refused(routing: Routing, part: &str) {
        let error = routing.check().unwrap_err();
        assert!(error.is(INVALID_ROUTING) && error.message().contains(part), "{error:?}");
    }

    #[test]
    fn the_share_holds_for_sequential_ids() {
        for share in [0.01, 0.1, 0.5] {
            let split = split(2, share);
            let n_taken = (0..100_000).filter(|n| split.takes(&format!("flight-{n}"))).count() as f64;
            // Five standard deviations of a binomial.
            let slack = 5.0 * (100_000.0 * share * (1.0 - share)).sqrt();
            assert!((n_taken - 100_000.0 * share).abs() < slack, "{n_taken} of 100,000 at {share}");
        }
    }

    #[test]
    fn an_entity_sticks_and_a_growing_share_keeps_it() {
        let (small, large) = (split(2, 0.1), split(2, 0.3));
        let ids: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        assert!(ids.iter().filter(|id| small.takes(id)).all(|id| small.takes(id) && large.takes(id)));
    }

    #[test]
    fn another_canary_gets_other_entities() {
        let (two, three) = (split(2, 0.1), split(3, 0.1));
        let both = (0..100_000).map(|n| n.to_string()).filter(|id| two.takes(id) && three.takes(id)).count();
        assert!((800..1200).contains(&both), "independent shares of a tenth meet in a hundredth, not in {both} of 100,000");
    }

    #[test]
    fn impossible_routings_are_refused() {
        let canary = |version, share| Some(Canary { served: served(version), share });
        for share in [0.0, 1.0, -0.1, f64::NAN] {
            refused(Routing { canary: canary(2, share), ..Routing::only(served(1)) }, "a share of");
        }
        refused(Routing { canary: canary(1, 0.1), ..Routing::only(served(1)) }, "two parts");
        refused(Routing { shadows: vec![served(2), served(2)], ..Routing::only(served(1)) }, "two parts");
        refused(Routing { shadows: (2..8).map(served).collect(), ..Routing::only(served(1)) }, "too many");
        Routing { canary: canary(2, 0.1), shadows: vec![served(3)], ..Routing::only(served(1)) }.check().unwrap();
    }
}
