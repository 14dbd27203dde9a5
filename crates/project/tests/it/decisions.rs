//! What people decide about versions, beside what serves meanwhile.

use lw_core::{Actor, Name};
use lw_pipelines::{RunState, Start};
use lw_project::Decision;
use lw_registry::{APPROVAL_FORBIDDEN, Hand, REASON_MISSING, Registry, Verdict};

use crate::{Shop, apply};

const REFUSE: Decision<'_> = Decision { verdict: Verdict::Refused, reason: "wrong by segment", report: None };

/// One version serves and a second one waits, made by a changed file that gives new versions a canary.
async fn with_canary_waiting() -> Shop {
    let gates = ("models/churn.yaml", "better_than: champion", "at_most: 100.0");
    let shop = Shop::serving(&[gates]).await;
    let rollout = "rollout: {canary: 0.2, for: 2d, min_labels: 200, metric: log_loss, tolerance: 0.03}";
    shop.edited("approvals: {first: 1, retrained: 0}", &format!("approvals: {{first: 2, retrained: 0}}\n{rollout}")).await;
    shop
}

impl Shop {
    /// Changes the model's file and applies it.
    async fn edited(&self, from: &str, to: &str) {
        let root = self.folder.path().join("shop");
        let file = root.join("models/churn.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
        apply(&self.workspace, &root).await;
    }

    async fn trained_by(&self, actor: &str) -> lw_pipelines::PipelineRunId {
        let ctx = self.workspace.ctx(Actor::new(actor), "test");
        let started = self.workspace.start_model(&ctx, &churn(), Start::by_hand()).await.unwrap();
        self.workspace.work_until_idle().await.unwrap();
        started.run
    }

    async fn decided(&self, actor: &str, version: u64, decision: Decision<'_>) -> lw_core::Result<String> {
        let ctx = self.workspace.ctx(Actor::new(actor), "test");
        let message = self.workspace.decide(&ctx, &churn(), version, decision).await?;
        self.workspace.work_until_idle().await.unwrap();
        Ok(message)
    }

    async fn routed(&self) -> (u64, Option<u64>) {
        let routing = lw_serving::current(self.workspace.store(), &churn()).await.unwrap().routing;
        (routing.champion.version, routing.canary.map(|canary| canary.served.version))
    }
}

fn churn() -> Name {
    Name::parse("churn").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_had_a_hand_in_a_version_does_not_decide_and_older_ones_do_not_come_back() {
    let shop = with_canary_waiting().await;
    let older = shop.trained_by("dee").await;
    let registry = Registry::new(shop.workspace.store().clone());
    let hands = registry.version(&churn(), 2).await.unwrap().hands;
    assert_eq!((hands[&Hand::Applied].as_str(), hands[&Hand::Started].as_str()), ("ana", "dee"));
    for actor in ["ana", "dee", "Dee"] {
        let error = shop.decided(actor, 2, Decision::grant("mine")).await.unwrap_err();
        assert!(error.is(APPROVAL_FORBIDDEN), "{actor}: {error:?}");
    }
    assert!(shop.decided("bea", 2, Decision::grant(" ")).await.unwrap_err().is(REASON_MISSING));

    let first = shop.decided("bea", 2, Decision::grant("fine")).await.unwrap();
    assert!(first.contains("1 more approval(s) by other people are missing"), "{first}");
    let again = shop.decided("bea", 2, Decision::grant("fine, I said")).await.unwrap();
    assert!(again.contains("already") && again.contains("counts once"), "{again}");

    shop.edited("canary: 0.2", "canary: 0.3").await;
    shop.trained_by("dee").await;
    for actor in ["bea", "cy"] {
        shop.decided(actor, 3, Decision::grant("better still")).await.unwrap();
    }
    assert_eq!(shop.routed().await, (1, Some(3)));
    let late = shop.decided("cy", 2, Decision::grant("fine")).await.unwrap_err();
    assert!(late.code() == "version-superseded" && late.message().contains("churn@3 went live"), "{late:?}");
    assert_eq!(shop.routed().await, (1, Some(3)));
    shop.decided("cy", 2, REFUSE).await.unwrap();
    assert_eq!(shop.workspace.pipelines().run(&older).await.unwrap().summary.state, RunState::Succeeded);
    shop.workspace.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_ends_when_a_newer_version_is_the_champion() {
    let gates = ("models/churn.yaml", "better_than: champion", "at_most: 100.0");
    let shop = Shop::serving(&[gates]).await;
    shop.edited("approvals: {first: 1, retrained: 0}", "approvals: {first: 2, retrained: 0}").await;
    let older = shop.trained_by("dee").await;
    let newer = shop.trained_by("dee").await;
    for actor in ["bea", "cy"] {
        shop.decided(actor, 3, Decision::grant("better")).await.unwrap();
    }
    assert_eq!(shop.routed().await, (3, None));
    let release = |run: lw_pipelines::RunView| run.step("release").unwrap().manifest.clone().unwrap().outputs;
    let pipelines = shop.workspace.pipelines();
    assert_eq!(release(pipelines.run(&newer).await.unwrap())["released"], true);
    let older = pipelines.run(&older).await.unwrap();
    assert_eq!(older.summary.state, RunState::Succeeded);
    let told = release(older);
    assert!(told["released"] == false && told["code"] == "version-superseded", "{told}");
    shop.workspace.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_canary_is_withdrawn_and_a_refused_champion_is_named() {
    let shop = with_canary_waiting().await;
    shop.trained_by("ana").await;
    for actor in ["bea", "cy"] {
        shop.decided(actor, 2, Decision::grant("fine")).await.unwrap();
    }
    assert_eq!(shop.routed().await, (1, Some(2)));
    let message = shop.decided("bea", 2, REFUSE).await.unwrap();
    assert!(message.contains("it is a canary no more, churn@1 answers every request"), "{message}");
    assert_eq!(shop.routed().await, (1, None));
    let message = shop.decided("bea", 1, REFUSE).await.unwrap();
    assert!(message.contains("still serves as champion until `loopwright rollback churn"), "{message}");
    assert_eq!(shop.routed().await, (1, None));
    shop.workspace.close().await;
}
