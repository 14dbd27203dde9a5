//! The starter project around the loop, on real components.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod checks;
mod decisions;
mod freshness;
mod operations;
mod scripts;
mod skew;

use std::path::Path;
use std::sync::Arc;

use lw_core::{Actor, SimulatedClock, Span, Timestamp};
use lw_pipelines::{RunState, Start};
use lw_project::{Bundle, Decision, Project, Workspace, WorkspaceOptions, check, init};
use lw_registry::Registry;

/// Writes the starter project as of the day after its data end.
fn starter(root: &Path) {
    init(root, Timestamp::parse("2024-06-29").unwrap()).unwrap();
}

fn project(root: &Path) -> Project {
    starter(root);
    let project = Project::parse(Bundle::read(root).unwrap()).unwrap();
    assert!(check(&project).is_empty(), "{:?}", check(&project));
    project
}

async fn workspace(root: &Path) -> Workspace {
    let options = WorkspaceOptions { directory: root.join(".loopwright"), metadata: None, artifacts: None };
    Workspace::open(options).await.unwrap()
}

/// The starter project in production on a clock of the test's own, since midnight before its data end.
struct Shop {
    folder: tempfile::TempDir,
    workspace: Workspace,
    clock: Arc<SimulatedClock>,
    start: Timestamp,
}

impl Shop {
    /// `edits` are replacements in files: path, what stands there, what shall stand there.
    async fn serving(edits: &[(&str, &str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("shop");
        starter(&root);
        for (path, from, to) in edits {
            let text = std::fs::read_to_string(root.join(path)).unwrap();
            assert!(text.contains(from), "{path} has no `{from}`");
            std::fs::write(root.join(path), text.replace(from, to)).unwrap();
        }
        let start = Timestamp::parse("2024-06-29").unwrap();
        let clock = Arc::new(SimulatedClock::at(start));
        let options = WorkspaceOptions { directory: folder.path().join("state"), metadata: None, artifacts: None };
        let workspace = Workspace::open_with_clock(options, clock.clone()).await.unwrap();
        apply(&workspace, &root).await;
        let shop = Self { folder, workspace, clock, start };
        let model = lw_core::Name::parse("churn").unwrap();
        shop.workspace.start_model(&shop.ctx(), &model, Start::by_hand()).await.unwrap();
        shop.workspace.work_until_idle().await.unwrap();
        let bea = shop.workspace.ctx(Actor::new("bea"), "test");
        shop.workspace.decide(&bea, &model, 1, Decision::grant("reviewed")).await.unwrap();
        shop.workspace.work_until_idle().await.unwrap();
        shop
    }

    fn ctx(&self) -> lw_core::Ctx {
        self.workspace.ctx(Actor::new("ana"), "test")
    }

    /// Puts the clock so many hours after the start.
    fn at(&self, hours: i64) -> Timestamp {
        let now = self.start + Span::from_hours(hours);
        self.clock.set(now);
        now
    }

    /// Lets an order land in a file of its own, and ingests it.
    async fn order(&self, file: &str, customer: &str, at: Timestamp) {
        let text = format!("customer_id,ordered_at,amount\n{customer},{at},12.5\n");
        std::fs::write(self.folder.path().join("shop/data").join(file), text).unwrap();
        self.workspace.start_ingestion(&self.ctx(), None, Start::by_hand()).await.unwrap();
        self.workspace.work_until_idle().await.unwrap();
    }

    async fn turn(&self) {
        let project = self.workspace.project().await.unwrap().project;
        self.workspace.tick(&project).await.unwrap();
    }
}

/// Applies what lies in a folder.
async fn apply(workspace: &Workspace, root: &Path) {
    let ana = workspace.ctx(Actor::new("ana"), "test");
    workspace.apply(&ana, Project::parse(Bundle::read(root).unwrap()).unwrap()).await.unwrap();
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

    let own = workspace.decide(&ana, &model, 1, Decision::grant("mine")).await.unwrap_err();
    assert!(own.is(lw_registry::APPROVAL_FORBIDDEN), "{own:?}");
    workspace.decide(&bea, &model, 1, Decision::grant("reviewed")).await.unwrap();
    workspace.work_until_idle().await.unwrap();
    assert_eq!(workspace.pipelines().run(&started.run).await.unwrap().summary.state, RunState::Succeeded);

    let endpoint = workspace.serving().endpoint("churn").unwrap();
    let body = br#"{"customer_id": "c1", "plan": "free"}"#;
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
