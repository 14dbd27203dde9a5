//! The registry at its border, on SQLite and, where the environment names one, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod adoption;
mod aliases;
mod approvals;
mod client_versions;
mod models;
mod promotions;
mod protections;
mod searches;
mod versions;
mod webhooks;

use std::collections::BTreeMap;
use std::sync::Arc;

use lw_core::{
    Actor, Ctx, DataType, Digest, Field, ModelName, Reference, Schema, SeededIds, SimulatedClock, Subject, SubjectKind, Timestamp,
};
use lw_evaluation::Metric;
use lw_registry::{Facts, GateDefinition, ModelVersion, NewVersion, Promotion, Registry, RivalFacts, RivalMetric, Signature};
use lw_store::Store;

fn ctx(actor: &str) -> Ctx {
    Ctx {
        clock: Arc::new(SimulatedClock::at(Timestamp::parse("2013-04-01").unwrap())),
        ids: Arc::new(SeededIds::new(7)),
        ..Ctx::real(Actor::new(actor), "request-1")
    }
}

fn model() -> ModelName {
    ModelName::parse("late_arrival").unwrap()
}

/// A version of the model, whose content follows from `seed`.
fn new_version(seed: u64) -> NewVersion {
    let field = |name: &str| Field { name: name.to_owned(), data_type: DataType::Float64, nullable: true };
    let training_set = Subject::new(SubjectKind::TrainingSet, "late_arrival", seed);
    NewVersion {
        model: model(),
        author: Actor::new("ana"),
        hands: lw_registry::Hands::new(),
        run: None,
        recipe: serde_json::json!({"trainer": "logistic", "seed": seed}),
        signature: Signature { inputs: Schema(vec![field("hour")]), outputs: Schema(vec![field("probability")]) },
        lineage: vec![Reference::new("training_set", training_set, Digest::of(b"training set"))],
        artifacts: BTreeMap::from([("model".to_owned(), Digest::of(&seed.to_le_bytes()))]),
    }
}

async fn with_model(store: &Store) -> Registry {
    let registry = Registry::new(store.clone());
    registry.put_model(&ctx("ana"), &model(), "Will it be late?", &Actor::new("ana")).await.unwrap();
    registry
}

/// A registered version with a report: its log loss, and the champion's if it was compared with one.
async fn with_report(registry: &Registry, seed: u64, log_loss: f64, champion: Option<(u64, f64)>) -> ModelVersion {
    let version = registry.register(&ctx("loopwright:pipeline"), new_version(seed)).await.unwrap();
    let facts = facts(log_loss, champion);
    let report = Digest::of_json(&facts);
    registry.attach_facts(&ctx("loopwright:pipeline"), &model(), version.version, report, facts).await.unwrap();
    version
}

fn facts(log_loss: f64, champion: Option<(u64, f64)>) -> Facts {
    let rival = |(version, rival): (u64, f64)| RivalFacts {
        against: format!("late_arrival@{version}"),
        metrics: [(Metric::LogLoss, RivalMetric { candidate: log_loss, rival })].into(),
    };
    Facts { champion: champion.map(rival), ..Facts::default() }.metric(Metric::LogLoss, log_loss)
}

fn gates() -> Vec<GateDefinition> {
    let gates = serde_json::json!([
        {"name": "good_enough", "metric": "log_loss", "at_most": 0.6},
        {"name": "beats_champion", "metric": "log_loss", "better_than": "champion"},
    ]);
    serde_json::from_value(gates).unwrap()
}

fn promotion(version: u64, n_approvals: u64, replaces: Option<u64>) -> Promotion {
    Promotion { model: model(), version, gates: gates(), n_approvals, replaces }
}
