//! Governance at its border, on SQLite and, where the environment names one, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod access;
mod answers;
mod identities;
mod lineage;

use std::sync::Arc;

use lw_core::{Actor, Ctx, Digest, Draft, Entry, RandomIds, SimulatedClock, Subject, SubjectKind, Timestamp};
use lw_store::Store;
use serde_json::json;

fn ctx(actor: &str) -> Ctx {
    Ctx {
        clock: Arc::new(SimulatedClock::at(Timestamp::parse("2013-04-01").unwrap())),
        ids: Arc::new(RandomIds),
        ..Ctx::real(Actor::new(actor), "request-1")
    }
}

async fn record(store: &Store, actor: &str, draft: Draft) -> Entry {
    store.write(&ctx(actor), |tx| tx.record(draft)).await.unwrap()
}

fn version(number: u64) -> Subject {
    Subject::new(SubjectKind::ModelVersion, "late_arrival", number)
}

fn training_set(number: u64) -> Subject {
    Subject::new(SubjectKind::TrainingSet, "late_arrival", number)
}

fn table(number: u64) -> Subject {
    Subject::new(SubjectKind::Table, "flights", number)
}

fn view(number: u64) -> Subject {
    Subject::new(SubjectKind::FeatureView, "carrier_delays", number)
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// The entries that the stages write while the version `number` is made, from table version `number`.
async fn make_version(store: &Store, number: u64, l2: f64, auc: f64) -> Entry {
    let source = Subject::new(SubjectKind::Source, "flights", 1);
    let commit = Draft::new("table.commit", table(number))
        .input("source", source, digest("source"))
        .output("table", table(number), digest(&format!("table {number}")))
        .payload(json!({"n_rows": 1000 * number, "n_quarantined": 3}));
    record(store, "loopwright:pipeline", commit).await;
    let build = Draft::new("training_set.build", training_set(number))
        .input("table", table(number), digest(&format!("table {number}")))
        .input("view", view(1), digest("view"))
        .output("training_set", training_set(number), digest(&format!("set {number}")))
        .payload(json!({"n_rows": 900 * number, "window": {"from": "2013-01-01T00:00:00Z", "to": "2013-03-31T00:00:00Z"}}));
    record(store, "loopwright:pipeline", build).await;
    let register = Draft::new("model_version.register", version(number))
        .input("training_set", training_set(number), digest(&format!("set {number}")))
        .output("model_version", version(number), digest(&format!("version {number}")))
        .payload(json!({"author": "ana", "hands": {"applied": "cy", "started": "bea"}, "recipe": {"params": {"l2": l2}, "seed": 7}, "signature": {"inputs": ["hour"]}}));
    let registered = record(store, "loopwright:pipeline", register).await;
    attach(store, number, auc).await;
    registered
}

async fn attach(store: &Store, number: u64, auc: f64) {
    let report = Subject::new(SubjectKind::Evaluation, "late_arrival", number);
    let attach = Draft::new("evaluation.attach", version(number))
        .input("model_version", version(number), None)
        .input("report", report, digest(&format!("report {number} {auc}")))
        .payload(json!({"metrics": {"auc": auc}}));
    record(store, "loopwright:pipeline", attach).await;
}

async fn approve(store: &Store, number: u64, auc: f64, by: &str, action: &'static str) {
    let report = Subject::new(SubjectKind::Evaluation, "late_arrival", number);
    let grant = Draft::new(action, version(number))
        .input("model_version", version(number), None)
        .input("report", report, digest(&format!("report {number} {auc}")))
        .payload(json!({"reason": "read it"}));
    record(store, by, grant).await;
}

async fn promote(store: &Store, number: u64, previous: Option<u64>) {
    let draft = Draft::new("alias.promote", version(number))
        .input("model_version", version(number), None)
        .payload(json!({"alias": "champion", "previous": previous}));
    record(store, "loopwright:release", draft).await;
}

/// Puts versions behind an endpoint: the champion, and perhaps a canary.
async fn deploy(store: &Store, endpoint: &str, generation: u64, champion: u64, canary: Option<u64>) -> Entry {
    let deployment = Subject::new(SubjectKind::Deployment, endpoint, generation);
    let mut draft = Draft::new("deployment.activate", deployment.clone()).input("model_version", version(champion), None);
    if let Some(canary) = canary {
        draft = draft.input("model_version", version(canary), None);
    }
    let canary = canary.map(|canary| json!({"version": format!("late_arrival@{canary}"), "share": 0.1}));
    let payload = json!({"champion": format!("late_arrival@{champion}"), "canary": canary, "shadows": []});
    record(store, "loopwright:release", draft.output("deployment", deployment, None).payload(payload)).await
}

async fn register_view(store: &Store) {
    let draft = Draft::new("feature_view.register", view(1))
        .input("table", Subject::unversioned(SubjectKind::Table, "flights"), None)
        .payload(json!({"features": ["carrier_delay_24h"]}));
    record(store, "ana", draft).await;
}
