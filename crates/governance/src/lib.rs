//! Who may act, where versions come from, and the five answers about a model.
//!
//! [`why`] answers, for any model at any time: which version is running, what data trained it, which features it uses, who approved
//! it, and what changed since the version before. Every answer names the ledger entries that prove it. Everything here is read from
//! the ledger alone, so that it holds for whatever wrote the entries.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accepted;
mod access;
mod answers;
mod difference;
mod failures;
mod identity;
mod lineage;
mod queries;
mod token;
mod token_file;

pub use access::{Action, Caller, Role, check_other, permit};
pub use answers::{
    Answers, ApprovalFact, ClientFact, DataFact, DeletionFact, FeatureFact, GateFact, RunningFact, SinceFact, VersionFact, why,
};
pub use difference::{Difference, differences};
pub use failures::*;
pub use identity::{Identity, NewIdentity, Refusal, RoleChange, parse_actor};
pub use lineage::{Budget, Direction, Lineage, LineageEdge, LineageNode, lineage};
pub use token::{Credential, LONGEST_LIFETIME, NewToken, Purpose, STANDARD_LIFETIME, Token};

use std::sync::Arc;

use accepted::Accepted;
use lw_store::Store;

/// Identities and their tokens. Cheap to clone; the clones remember together what they accepted.
#[derive(Debug, Clone)]
pub struct Identities {
    store: Store,
    accepted: Arc<Accepted>,
}

impl Identities {
    pub fn new(store: Store) -> Self {
        Self { store, accepted: Arc::default() }
    }
}
