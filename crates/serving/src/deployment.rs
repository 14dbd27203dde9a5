//! Deployments: governed changes of what stands behind an endpoint.

use lw_core::{Change, Draft, Name, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Store, Tx};
use serde::Serialize;
use serde_json::json;

use crate::failures::{NO_PREVIOUS_DEPLOYMENT, STALE_GENERATION, UNKNOWN_ENDPOINT};
use crate::routing::Routing;
use crate::{Served, queries};

/// One generation of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deployment {
    pub endpoint: Name,
    /// Counts from 1. A number is left out where the endpoint was retired.
    pub generation: u64,
    pub routing: Routing,
    pub reason: String,
    /// The generation that a rollback brought back.
    pub restores: Option<u64>,
    pub activated_at: Timestamp,
    pub activated_by: String,
}

impl Deployment {
    pub fn subject(&self) -> Subject {
        Subject::new(SubjectKind::Deployment, &self.endpoint, self.generation)
    }
}

/// What somebody wants to stand behind an endpoint.
#[derive(Debug, Clone)]
pub struct Activation {
    pub endpoint: Name,
    /// The generation that the caller saw; 0 for an endpoint that does not exist yet, or is retired. Another one in the database is a conflict.
    pub expected_generation: u64,
    pub routing: Routing,
    /// Why, for the ledger: "approved by bo", "canary: log_loss 0.53 against 0.55".
    pub reason: String,
}

/// Puts a routing behind an endpoint and records `deployment.activate`, within the caller's transaction.
pub fn activate(tx: &mut Tx<'_>, activation: Activation) -> Result<Deployment> {
    activation.routing.check()?;
    let generation = next_generation(tx, &activation.endpoint, activation.expected_generation)?;
    let deployment = Deployment {
        endpoint: activation.endpoint,
        generation,
        routing: activation.routing,
        reason: activation.reason,
        restores: None,
        activated_at: tx.now(),
        activated_by: tx.actor().to_string(),
    };
    record(tx, "deployment.activate", &deployment)?;
    Ok(deployment)
}

/// Puts back what stood behind the endpoint before, and records `deployment.rollback`. A second rollback goes one further back.
pub fn roll_back(tx: &mut Tx<'_>, endpoint: &Name, expected_generation: u64, reason: String) -> Result<Deployment> {
    let generation = next_generation(tx, endpoint, expected_generation)?;
    let before = previous(tx, endpoint, expected_generation)?;
    let deployment = Deployment {
        endpoint: endpoint.clone(),
        generation,
        routing: before.routing,
        reason,
        restores: Some(before.restores.unwrap_or(before.generation)),
        activated_at: tx.now(),
        activated_by: tx.actor().to_string(),
    };
    record(tx, "deployment.rollback", &deployment)?;
    Ok(deployment)
}

/// Takes everything from behind an endpoint and records `deployment.retire`: it answers no more until a version is activated again.
/// Returns what stood there.
pub fn retire(tx: &mut Tx<'_>, endpoint: &Name, expected_generation: u64, reason: &str) -> Result<Deployment> {
    let generation = next_generation(tx, endpoint, expected_generation)?;
    let standing = queries::deployment(tx, endpoint, expected_generation)?.ok_or_else(|| unknown(endpoint))?;
    let draft = Draft::new("deployment.retire", Subject::new(SubjectKind::Deployment, endpoint, generation))
        .input("deployment", standing.subject(), lw_core::Digest::of_json(&standing.routing))
        .payload(json!({"endpoint": endpoint, "champion": standing.routing.champion.to_string(), "reason": reason}))
        .change(Change::put("endpoint").key("name", endpoint).set("generation", generation).set("retired_at", tx.now()));
    tx.record(draft)?;
    Ok(standing)
}

/// What a rollback from a generation would put back.
pub fn previous(reader: &mut Reader<'_>, endpoint: &Name, generation: u64) -> Result<Deployment> {
    let standing = queries::deployment(reader, endpoint, generation)?;
    let origin = standing.and_then(|deployment| deployment.restores).unwrap_or(generation);
    let before = match origin.checked_sub(1).filter(|generation| *generation > 0) {
        Some(generation) => queries::deployment(reader, endpoint, generation)?,
        None => None,
    };
    before.ok_or_else(|| {
        NO_PREVIOUS_DEPLOYMENT
            .error(format!("endpoint `{endpoint}` has no deployment before generation {origin}"))
            .hint("activate the model version that you want instead")
    })
}

/// What stands behind an endpoint now.
pub async fn current(store: &Store, endpoint: &Name) -> Result<Deployment> {
    let name = endpoint.clone();
    let found = store.read(move |reader| queries::current_deployment(reader, &name)).await?;
    found.ok_or_else(|| unknown(endpoint))
}

/// What stands behind every endpoint now, by name.
pub async fn all_current(store: &Store) -> Result<Vec<Deployment>> {
    store.read(queries::current_deployments).await
}

/// The generations of an endpoint, newest first, below `before`.
pub async fn history(store: &Store, endpoint: &Name, before: Option<u64>, limit: u32) -> Result<Vec<Deployment>> {
    let name = endpoint.clone();
    store.read(move |reader: &mut Reader<'_>| queries::deployments(reader, &name, before.unwrap_or(u64::MAX), limit)).await
}

pub(crate) fn unknown(endpoint: &Name) -> lw_core::Error {
    UNKNOWN_ENDPOINT
        .error(format!("there is no endpoint `{endpoint}`"))
        .hint("`loopwright status` lists the endpoints; a model's first deployment creates its endpoint")
}

/// The generation that a change makes, if the caller's is the database's: of two changes at once, one wins.
pub fn next_generation(reader: &mut Reader<'_>, endpoint: &Name, expected: u64) -> Result<u64> {
    let found = queries::generation(reader, endpoint)?;
    match found {
        None if expected == 0 => Ok(1),
        Some((found, true)) if expected == 0 => Ok(found + 1),
        Some((found, false)) if found == expected => Ok(found + 1),
        None | Some((_, true)) => Err(unknown(endpoint)),
        Some((found, false)) => Err(STALE_GENERATION
            .error(format!("endpoint `{endpoint}` is at generation {found}, not {expected}"))
            .hint("somebody changed the endpoint meanwhile; look at it again, then repeat your change")),
    }
}

fn record(tx: &mut Tx<'_>, action: &'static str, deployment: &Deployment) -> Result<()> {
    let routing = &deployment.routing;
    let name = |served: &Served| served.to_string();
    let mut draft = Draft::new(action, deployment.subject()).payload(json!({
        "endpoint": deployment.endpoint,
        "champion": name(&routing.champion),
        "canary": routing.canary.as_ref().map(|canary| json!({"version": name(&canary.served), "share": canary.share})),
        "shadows": routing.shadows.iter().map(name).collect::<Vec<_>>(),
        "reason": deployment.reason,
        "restores": deployment.restores,
    }));
    for (_, served) in routing.parts() {
        draft = draft.input("model_version", served.subject(), served.bundle);
    }
    let draft = draft
        .output("deployment", deployment.subject(), lw_core::Digest::of_json(routing))
        .change(
            Change::put("endpoint")
                .key("name", &deployment.endpoint)
                .set("generation", deployment.generation)
                .set("retired_at", None::<Timestamp>),
        )
        .change(
            Change::put("deployment")
                .key("endpoint", &deployment.endpoint)
                .key("generation", deployment.generation)
                .set("routing", lw_core::canonical_json(routing))
                .set("reason", &deployment.reason)
                .set("restores", deployment.restores)
                .set("activated_at", deployment.activated_at)
                .set("activated_by", &deployment.activated_by),
        );
    tx.record(draft).map(drop)
}
