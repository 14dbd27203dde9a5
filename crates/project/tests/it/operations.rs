//! What `apply` ends, and what starts runs beside a person.

use lw_core::{Actor, Name, Timestamp};
use lw_data::failures::SOURCE_TYPE_CHANGED;
use lw_monitoring::{RETRAIN_TOPIC, RetrainRequest, TimeWindow};
use lw_pipelines::{RunState, Start};
use lw_project::failures::MODEL_SERVES;
use lw_project::{Bundle, ChangeKind, Decision, Project};
use serde_json::json;

use crate::{project, workspace};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The project without one of its files.
fn without(project: &Project, path: &str) -> Project {
    let mut bundle: Bundle = project.bundle.clone();
    bundle.files.remove(path).unwrap();
    Project::parse(bundle).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_met_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(&folder.path().join("shop"));
    let workspace = workspace(folder.path()).await;
    let ctx = workspace.ctx(Actor::new("ana"), "test");
    workspace.apply(&ctx, project.clone()).await.unwrap();
    let request = |model: &str| RetrainRequest {
        model: name(model),
        version: 1,
        monitor: name("quality"),
        window: TimeWindow { start: at("2024-06-01"), end: at("2024-06-08") },
        requested_at: at("2024-06-08"),
        reasons: Vec::new(),
    };
    let requests = [("gone", json!(request("gone"))), ("none", json!({"no": "request"})), ("churn", json!(request("churn")))];
    let ask = move |tx: &mut lw_store::Tx<'_>| {
        requests.iter().try_for_each(|(key, payload)| tx.outbox(RETRAIN_TOPIC, key, payload).map(drop))
    };
    workspace.store().write(&ctx, ask).await.unwrap();

    workspace.tick(&project).await.unwrap();
    workspace.tick(&project).await.unwrap();
    let runs = workspace.pipelines().runs(None, at("2999-01-01"), 10).await.unwrap();
    assert_eq!(
        runs.iter().map(|run| (run.pipeline.as_str(), run.cause.as_str())).collect::<Vec<_>>(),
        [("churn", "monitor:quality")]
    );
    workspace.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_its_table_cannot_take_is_not_applied() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(&folder.path().join("shop"));
    let workspace = workspace(folder.path()).await;
    let ctx = workspace.ctx(Actor::new("ana"), "test");
    workspace.apply(&ctx, project.clone()).await.unwrap();
    workspace.start_model(&ctx, &name("churn"), Start::by_hand()).await.unwrap();
    workspace.work_until_idle().await.unwrap();

    let edited = |from: &str, to: &str| {
        let mut bundle = project.bundle.clone();
        let text = bundle.files.get_mut("sources/orders.yaml").unwrap();
        assert!(text.contains(from), "{text}");
        *text = text.replace(from, to);
        Project::parse(bundle).unwrap()
    };
    let wanted = edited("amount: {type: float64", "amount: {type: float32");
    let plan = workspace.plan(&wanted).await.unwrap();
    let refused: Vec<_> = plan.changes.iter().filter_map(|change| change.refused.as_deref()).collect();
    assert_eq!(refused, ["column `amount` of table `orders` is float64, not float32"]);
    let error = workspace.apply(&ctx, wanted).await.unwrap_err();
    assert!(error.is(SOURCE_TYPE_CHANGED) && error.hint_text().unwrap().contains("new name"), "{error:?}");
    assert_eq!(workspace.project().await.unwrap().applied.version, 1, "nothing was applied");

    workspace.apply(&ctx, edited("amount: {type: float64", "amount: {description: paid, type: float64")).await.unwrap();
    assert_eq!(workspace.project().await.unwrap().applied.version, 2);
    workspace.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_project_no_longer_has_ends() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(&folder.path().join("shop"));
    let workspace = workspace(folder.path()).await;
    let (ana, bea) = (workspace.ctx(Actor::new("ana"), "test"), workspace.ctx(Actor::new("bea"), "test"));
    workspace.apply(&ana, project.clone()).await.unwrap();
    workspace.start_model(&ana, &name("churn"), Start::by_hand()).await.unwrap();
    workspace.work_until_idle().await.unwrap();
    workspace.decide(&bea, &name("churn"), 1, Decision::grant("reviewed")).await.unwrap();
    workspace.work_until_idle().await.unwrap();

    let wanted = without(&project, "models/churn.yaml");
    let refused = workspace.apply(&ana, wanted.clone()).await.unwrap_err();
    assert!(refused.is(MODEL_SERVES) && refused.hint_text().unwrap().contains("loopwright retire churn"), "{refused:?}");
    assert_eq!(workspace.project().await.unwrap().applied.version, 1, "nothing was applied");

    let open = workspace.start_model(&ana, &name("churn"), Start::by_hand()).await.unwrap().run;
    workspace.retire_endpoint(&ana, &name("churn"), "replaced").await.unwrap();
    let wanted = without(&wanted, "pipelines/nightly.yaml");
    let (plan, _) = workspace.apply(&ana, wanted.clone()).await.unwrap();
    let ends: Vec<_> =
        plan.changes.iter().map(|change| (change.subject.as_str(), change.change, change.ends.join("; "))).collect();
    assert_eq!(
        ends,
        [
            ("model/churn", ChangeKind::Removed, "open runs are cancelled: 1".to_owned()),
            ("pipeline/nightly", ChangeKind::Removed, "its schedule stops".to_owned()),
        ]
    );
    assert_eq!(workspace.pipelines().run(&open).await.unwrap().summary.state, RunState::Cancelled);
    assert!(workspace.pipelines().list(None, 10).await.unwrap().is_empty());
    assert!(workspace.plan(&wanted).await.unwrap().is_empty());
    assert!(workspace.verify().await.unwrap().contains("verifies"));
    workspace.close().await;
}
