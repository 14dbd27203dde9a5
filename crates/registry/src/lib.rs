//! Models and their immutable versions, the gates and approvals that stand before production, and the aliases that point at versions.
//!
//! A version is registered with its recipe, signature, lineage and artifacts; a report is attached to it; gates decide over the
//! report by pure rules ([`decide`]); people approve exactly what they saw, by digest; only then can it become champion.
//!
//! ```
//! use lw_registry::{Facts, GateDefinition, decide};
//!
//! let gate: GateDefinition =
//!     serde_json::from_value(serde_json::json!({"name": "good_enough", "metric": "auc", "at_least": 0.65})).unwrap();
//! let facts = Facts::default().metric(lw_evaluation::Metric::Auc, 0.61);
//! let report = decide(&[gate], &facts, None);
//! assert!(!report.has_passed());
//! assert_eq!(report.outcomes[0].explanation, "auc is 0.61, below 0.65");
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod adoption;
mod alias;
mod approval;
mod decision;
mod evaluation;
mod event;
mod facts;
mod failures;
mod gate;
mod model;
mod origin;
mod promotion;
mod protection;
mod queries;
mod record;
mod removal;
mod search;
mod stage;
mod state;
mod tag;
mod version;
mod webhook;

pub use adoption::{AdoptedModel, AdoptedVersion};
pub use alias::{Alias, AliasPointer, champion_in};
pub use approval::{Approval, ApprovalState, Verdict, check_reason, standing};
pub use decision::{GateOutcome, GateReport, GateVerdict, decide};
pub use evaluation::{AttachedReport, GateDecision};
pub use event::EventKind;
pub use facts::{Facts, RivalFacts, RivalMetric, SegmentFacts};
pub use failures::*;
pub use gate::{GateDefinition, Rival};
pub use model::Model;
pub use origin::{ClientVersion, Origin};
pub use promotion::{Promoted, Promotion, Readiness, promote_in, readiness_in, require_ready, retire_champion_in, roll_back_in};
pub use protection::{Circumstance, Deed, Protection, objection, protect_in, protection_in};
pub use record::{ModelRecord, VersionRecord};
pub use search::{Found, Wanted};
pub use stage::Stage;
pub use state::VersionState;
pub use tag::{PROMPT_TAG, PROMPT_TEXT_TAG, is_prompt};
pub use version::{Hand, Hands, ModelVersion, NewVersion, Signature};
pub use webhook::{Attempt, NewWebhook, Reach, Webhook, WebhookPage, WebhookStatus, WebhookUpdate, Webhooks};

use lw_store::Store;

/// Everything about models and their versions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    store: Store,
}

impl Registry {
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}
