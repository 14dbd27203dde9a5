//! The starter project around the loop, on real components.

use std::path::Path;

use lw_core::Actor;
use lw_pipelines::{RunState, Start};
use lw_project::{Bundle, Project, Workspace, WorkspaceOptions, check, init};
use lw_registry::Registry;

fn project(root: &Path) -> Project {
    init(root).unwrap();
    let project = Project::parse(Bundle::read(root).unwrap()).unwrap();
    assert!(check(&project).is_empty(), "{:?}", check(&project));
    project
}

async fn workspace(root: &Path) -> Workspace {
    let options = WorkspaceOptions { directory: root.join(".loopwright"), metadata: None, artifacts: None };
    Workspace::open(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_goes_around_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(&folder.path().join("shop"));
    let workspace = workspace(folder.path()).await;
    let (ana, bea) = (workspace.ctx(Actor::new("ana"), "test"), workspace.ctx(Actor::new("bea"), "test"));
    let model = lw_core::Name::parse("churn").unwrap();
    let (plan, applied) = workspace.apply(&ana, project.clone()).await.unwrap();
    assert_eq!((plan.changes.is_empty(), applied.version), (false, 1));
    assert!(workspace.plan(&project).await.unwrap().is_empty(), "what runs is what the files say");

    let started = workspace.start_model(&ana, &model, Start::by_hand()).await.unwrap();
    workspace.work_until_idle().await.unwrap();
    let run = workspace.pipelines().run(&started.run).await.unwrap();
    let failed: Vec<_> = run.steps.iter().filter(|step| step.error.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(workspace.waiting_for_approval(&model).await.unwrap().len(), 1);
    assert!(workspace.serving().endpoint("churn").is_err(), "nothing serves before somebody approved");

    let own = workspace.decide(&ana, &model, 1, true, "mine").await.unwrap_err();
    assert!(own.is(lw_registry::APPROVAL_FORBIDDEN), "{own:?}");
    workspace.decide(&bea, &model, 1, true, "reviewed").await.unwrap();
    workspace.work_until_idle().await.unwrap();
    assert_eq!(workspace.pipelines().run(&started.run).await.unwrap().summary.state, RunState::Succeeded);

    let endpoint = workspace.serving().endpoint("churn").unwrap();
    let body = br#"{"customer_id": "c1", "plan": "free", "asked_at": "2024-06-15T00:00:00Z"}"#;
    let answer = endpoint.predict_json(&ana, body).unwrap();
    assert_eq!(answer.len(), 1);

    let champion = Registry::new(workspace.store().clone()).champion(&model).await.unwrap().unwrap();
    assert_eq!(champion.version, 1);
    let again = workspace.reproduce(&ana, &model, 1).await.unwrap();
    assert!(again.same, "{}", again.message);
    workspace.tick(&project).await.unwrap();
    assert!(workspace.verify().await.unwrap().contains("verifies"));
    workspace.close().await;
}
