//! The five answers about a model, each with the ledger entries that prove it.

mod facts;
mod text;

use std::collections::BTreeMap;

use lw_core::{Actor, Digest, ModelName, Result, Subject, Timestamp};
use lw_store::Store;
use serde::{Deserialize, Serialize};

use crate::Difference;

/// Which version is running, what data trained it, which features it uses, who approved it, what changed since the version before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    pub model: ModelName,
    /// The version that the answers are about.
    pub version: VersionFact,
    /// What stands behind each endpoint that serves the model, whichever version it is.
    pub running: Vec<RunningFact>,
    pub data: Vec<DataFact>,
    pub features: Vec<FeatureFact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<GateFact>,
    pub approvals: Vec<ApprovalFact>,
    /// None for the first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<SinceFact>,
}

/// A registered version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionFact {
    pub version: u64,
    pub digest: Option<Digest>,
    pub registered_at: Timestamp,
    pub author: Actor,
    /// Who applied the project, started the run and registered the version, as far as it is recorded: none of them approves it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hands: BTreeMap<String, Actor>,
    /// The script that made it, with the digests of its files; none if none did.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub code: serde_json::Value,
    /// Where a client said that it comes from; none for what a pipeline made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientFact>,
    /// When, by whom and by which entry it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<DeletionFact>,
    pub seq: u64,
}

/// What a client said about a version that it registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFact {
    /// A URI such as `runs:/…/model`.
    pub source: String,
    /// The run that made it, if the workspace knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Who sent the request; the author is who answers for it.
    pub by: Actor,
    /// What its digest is over.
    pub content: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionFact {
    pub at: Timestamp,
    pub by: Actor,
    pub seq: u64,
}

/// A version behind an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningFact {
    pub endpoint: String,
    pub generation: Option<u64>,
    pub version: u64,
    /// `champion`, `canary 10%`, `shadow`.
    pub role: String,
    pub since: Timestamp,
    pub by: Actor,
    /// The entry that brought it into this role.
    #[serde(default)]
    pub since_seq: u64,
    /// The newest entry about the endpoint.
    pub seq: u64,
}

/// A version of data that the model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFact {
    /// A training set, a table or a source.
    pub subject: Subject,
    pub digest: Option<Digest>,
    /// The entry that made it, where the ledger has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<u64>,
    /// What the entry says about it, such as the number of rows.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub details: serde_json::Value,
    /// The entry that read it.
    pub seq: u64,
}

/// A version of a feature view that the model uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureFact {
    pub view: Subject,
    /// Of the view's definition.
    pub digest: Option<Digest>,
    pub features: Vec<String>,
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateFact {
    pub verdict: String,
    pub summary: String,
    pub at: Timestamp,
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalFact {
    pub by: Actor,
    /// `granted` or `refused`.
    pub verdict: String,
    pub reason: String,
    pub at: Timestamp,
    /// False if the version was evaluated again since: the approval is void.
    pub is_current: bool,
    pub seq: u64,
}

/// What is different from the version before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SinceFact {
    /// The champion that the version replaced, or the version registered before it.
    pub version: u64,
    pub recipe: Vec<Difference>,
    pub data: Vec<Difference>,
    pub features: Vec<Difference>,
    pub metrics: Vec<Difference>,
    /// The registrations of both versions.
    pub seqs: Vec<u64>,
}

/// Answers for a version; without one, for the version that is running, or else the champion, or else the newest.
pub async fn why(store: &Store, model: impl Into<ModelName>, version: Option<u64>) -> Result<Answers> {
    let model = model.into();
    store.read(move |reader| facts::answers(reader, &model, version)).await
}

impl Answers {
    /// The sequence numbers of all entries that the answers rest on, in order.
    pub fn evidence(&self) -> Vec<u64> {
        let mut seqs = vec![self.version.seq];
        seqs.extend(self.version.deleted.iter().map(|fact| fact.seq));
        seqs.extend(self.running.iter().flat_map(|fact| [fact.since_seq, fact.seq]));
        seqs.extend(self.data.iter().flat_map(|fact| [Some(fact.seq), fact.made_by]).flatten());
        seqs.extend(self.features.iter().map(|fact| fact.seq));
        seqs.extend(self.gates.iter().map(|fact| fact.seq));
        seqs.extend(self.approvals.iter().map(|fact| fact.seq));
        seqs.extend(self.since.iter().flat_map(|fact| fact.seqs.iter().copied()));
        seqs.sort_unstable();
        seqs.dedup();
        seqs
    }

    /// The answers for people, in plain text.
    pub fn to_text(&self) -> String {
        text::render(self)
    }
}
