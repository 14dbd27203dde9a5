//! The status page.

use std::collections::BTreeMap;

use lw_core::{Actor, Digest, Name, Schema};
use lw_evaluation::Metric;
use lw_registry::{Facts, GateDefinition, NewVersion, Registry, Signature};
use serde_json::json;

use crate::world::World;

async fn page(world: &World, path: &str) -> String {
    let answer = world.get(path).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    String::from_utf8(answer.body).unwrap()
}

/// A model of the registry with one version that its gate refuses.
async fn refused(world: &World, model: &str, description: &str) {
    let registry = Registry::new(world.app.store().clone());
    let (ctx, model) = (world.app.ctx(Actor::new("ana"), "setup".into()), Name::parse(model).unwrap());
    registry.put_model(&ctx, &model, description, &Actor::new("olga")).await.unwrap();
    let version = NewVersion {
        model: model.clone().into(),
        author: ctx.actor.clone(),
        hands: lw_registry::Hands::new(),
        run: None,
        recipe: json!({"trainer": "boosting"}),
        signature: Signature { inputs: Schema(vec![]), outputs: Schema(vec![]) },
        lineage: vec![],
        artifacts: BTreeMap::new(),
    };
    registry.register(&ctx, version).await.unwrap();
    let facts = Facts::default().metric(Metric::Auc, 0.61);
    registry.attach_facts(&ctx, &model, 1, Digest::of(b"report"), facts).await.unwrap();
    let gates: Vec<GateDefinition> =
        serde_json::from_value(json!([{"name": "good", "metric": "auc", "at_least": 0.65}])).unwrap();
    registry.decide_gates(&ctx, &model, 1, &gates).await.unwrap();
}

#[tokio::test]
async fn each_model_has_its_own_loop_in_order() {
    let world = World::make().await;
    refused(&world, "churn", "Who leaves?").await;
    refused(&world, "late_arrival", "Will it be late?").await;
    let page = page(&world, "/").await;
    let section = |model: &str| {
        let start = page.find(&format!("<section aria-labelledby=\"model-{model}\">")).expect(model);
        &page[start..start + page[start..].find("</section>").unwrap()]
    };
    let stages =
        ["data", "features", "training", "evaluation", "gates", "approval", "deployment", "serving", "monitoring", "retraining"];
    for model in ["churn", "late_arrival"] {
        let section = section(model);
        let found: Vec<usize> = stages.iter().map(|stage| section.find(&format!("<h3>{stage} ")).expect(stage)).collect();
        assert!(found.is_sorted(), "{model}");
        for words in
            [format!("{model}@1"), "boosting, by ana".to_owned(), "auc 0.610".to_owned(), "auc is 0.61, below 0.65".to_owned()]
        {
            assert!(section.contains(&words), "{words} is missing in {section}");
        }
    }
    // One of them serves: what stands behind the endpoint is its own, not the other's.
    assert!(section("late_arrival").contains("late_arrival@2") && section("late_arrival").contains("0 answered"));
    assert!(!section("churn").contains("answered"));
    assert!(page.contains("<a href=\"#model-churn\">churn</a>"));
}

#[tokio::test]
async fn what_others_wrote_stays_text_and_nothing_foreign_is_let_in() {
    let world = World::make().await;
    refused(&world, "churn", "<script>alert(1)</script>").await;
    let answer = world.get("/").await;
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"));
    assert!(!page.contains(" style=") && !page.contains("src="), "the policy would stop it");
    for landmark in ["<html lang=\"en\">", "<header>", "<main id=\"models\">", "<footer>", "<h1>", "name=\"viewport\""] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
}

#[tokio::test]
async fn the_page_looks_again_unless_it_is_held() {
    let world = World::make().await;
    assert!(page(&world, "/").await.contains("http-equiv=\"refresh\""));
    let held = page(&world, "/?pause=true").await;
    assert!(!held.contains("http-equiv=\"refresh\"") && held.contains("The page is held"));
    world.get("/?paus=true").await.is_problem(400, "invalid-query");
}
