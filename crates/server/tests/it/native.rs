//! The native API.

use std::collections::BTreeMap;

use lw_core::{Actor, Digest, Name, Schema};
use lw_registry::{Facts, NewVersion, Promotion, Registry, Signature};
use serde_json::json;

use crate::world::World;

const PREDICT: &str = "/api/v1/endpoints/late_arrival/predict";

#[tokio::test]
async fn rows_are_answered_in_the_documented_form() {
    let world = World::make().await;
    let one = world.post(PREDICT, r#"{"flight_id": "UA-1", "carrier": "UA", "distance": 100}"#).await;
    assert_eq!(one.status, 200, "{}", String::from_utf8_lossy(&one.body));
    let json = one.json();
    let prediction = &json["predictions"][0];
    assert!((prediction["score"].as_f64().unwrap() - 0.3).abs() < 1e-6);
    assert_eq!(
        (&json["generation"], &prediction["id"], &prediction["predicted"], &prediction["version"], &prediction["role"]),
        (&json!(2), &json!("UA-1"), &json!(false), &json!(2), &json!("champion"))
    );
    let rows: Vec<String> = (0..1000).map(|n| format!(r#"{{"carrier": "UA", "distance": {}}}"#, n / 2)).collect();
    let many = world.post(PREDICT, format!("{{\"rows\": [{}]}}", rows.join(","))).await.json();
    let predictions = many["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 1000);
    assert!((predictions[750]["score"].as_f64().unwrap() - 0.575).abs() < 1e-6);
    assert_eq!(predictions[750]["predicted"], true);
}

#[tokio::test]
async fn a_wrong_request_names_field_and_hint() {
    let world = World::make().await;
    let answer = world.post(PREDICT, r#"{"carrier": "UA", "distanc": 1}"#).await;
    answer.is_problem(400, "invalid-predict-request");
    assert_eq!(answer.json()["hint"], "did you mean `distance`?");
    assert!(answer.headers.contains_key("x-request-id"));
    world.post("/api/v1/endpoints/late_arival/predict", "{}").await.is_problem(404, "unknown-endpoint");
    for body in ["", "{}", "[]", r#"{"carrier": 1, "distance": 1}"#, r#"{"carrier": "UA", "distance": null}"#, "\u{0}"] {
        world.post(PREDICT, body).await.is_problem(400, "invalid-predict-request");
    }
}

#[tokio::test]
async fn endpoints_are_shown_and_rolled_back() {
    let world = World::make().await;
    let shown = world.get("/api/v1/endpoints/late_arrival").await.json();
    assert_eq!(
        (&shown["generation"], &shown["champion"], &shown["runtime"]),
        (&json!(2), &json!("late_arrival@2"), &json!("native"))
    );
    assert_eq!(shown["fields"][1], json!({"name": "distance", "type": "float64", "required": true}));
    assert_eq!(world.get("/api/v1/endpoints").await.json()["items"][0]["endpoint"], "late_arrival");

    let stale = world.post("/api/v1/endpoints/late_arrival/rollback", r#"{"generation": 1, "reason": "worse"}"#).await;
    stale.is_problem(409, "stale-generation");
    let back = world.post("/api/v1/endpoints/late_arrival/rollback", r#"{"reason": "worse"}"#).await.json();
    assert_eq!((&back["champion"], &back["generation"], &back["restores"]), (&json!("late_arrival@1"), &json!(3), &json!(1)));
    let prediction = world.post(PREDICT, r#"{"carrier": "UA", "distance": 100}"#).await.json();
    assert_eq!(prediction["predictions"][0]["version"], 1);
    world
        .post("/api/v1/endpoints/late_arrival/rollback", r#"{"reason": "worse"}"#)
        .await
        .is_problem(409, "no-previous-deployment");
    for body in ["{}", r#"{"reason": " "}"#] {
        world.post("/api/v1/endpoints/late_arrival/rollback", body).await.is_problem(400, "reason-missing");
    }
    let history = world.get("/api/v1/endpoints/late_arrival/deployments?limit=2").await.json();
    assert_eq!(
        history["items"].as_array().unwrap().iter().map(|item| item["generation"].as_u64().unwrap()).collect::<Vec<_>>(),
        [3, 2]
    );
}

/// The registry's side of the world's endpoint: versions 1 and 2, of which those in `champions` have been champion, one after the other.
async fn registered(world: &World, champions: &[u64]) -> Registry {
    let registry = Registry::new(world.app.store().clone());
    let ctx = world.app.ctx(Actor::new("ana"), "setup".into());
    let model = Name::parse("late_arrival").unwrap();
    registry.put_model(&ctx, &model, "", &ctx.actor).await.unwrap();
    for seed in 1..=2_u64 {
        let version = NewVersion {
            model: model.clone().into(),
            author: ctx.actor.clone(),
            hands: lw_registry::Hands::new(),
            run: None,
            recipe: json!({"seed": seed}),
            signature: Signature { inputs: Schema(vec![]), outputs: Schema(vec![]) },
            lineage: vec![],
            artifacts: BTreeMap::new(),
        };
        registry.register(&ctx, version).await.unwrap();
        registry.attach_facts(&ctx, &model, seed, Digest::of(b"report"), Facts::default()).await.unwrap();
    }
    let mut replaces = None;
    for version in champions {
        let promotion = Promotion { model: model.clone().into(), version: *version, gates: vec![], n_approvals: 0, replaces };
        replaces = Some(registry.promote(&ctx, promotion).await.unwrap().pointer.version);
    }
    registry
}

#[tokio::test]
async fn the_champion_moves_with_its_endpoint_or_neither_does() {
    let model = Name::parse("late_arrival").unwrap();
    for body in [r#"{"reason": "worse"}"#, r#"{"reason": "worse", "generation": 2}"#] {
        let world = World::make().await;
        let registry = registered(&world, &[1, 2]).await;
        assert_eq!(world.post("/api/v1/endpoints/late_arrival/rollback", body).await.status, 200);
        assert_eq!(registry.champion(&model).await.unwrap().unwrap().version, 1, "{body}");
        let entries = world.get("/api/v1/ledger/entries?newest=true&limit=2").await.json();
        let told = |index: usize| {
            let entry = &entries["items"][index];
            (entry["action"].as_str().unwrap().to_owned(), entry["payload"]["reason"].as_str().unwrap().to_owned())
        };
        assert_eq!(told(1), ("deployment.rollback".to_owned(), "worse".to_owned()), "{body}");
        assert_eq!(told(0), ("alias.roll_back".to_owned(), "worse".to_owned()), "{body}");
    }

    // Version 1 has never been champion, so that the second half of the rollback is refused.
    let world = World::make().await;
    let registry = registered(&world, &[2]).await;
    world.post("/api/v1/endpoints/late_arrival/rollback", r#"{"reason": "worse"}"#).await.is_problem(422, "never-champion");
    assert_eq!(world.get("/api/v1/endpoints/late_arrival").await.json()["generation"], 2);
    assert_eq!(registry.champion(&model).await.unwrap().unwrap().version, 2);
    assert_eq!(world.get("/api/v1/ledger/entries?action=deployment.rollback").await.json()["items"], json!([]));
}

#[tokio::test]
async fn the_ledger_is_read_and_verified() {
    let world = World::make().await;
    let entries = world.get("/api/v1/ledger/entries?subject=deployment/late_arrival@2").await.json();
    assert_eq!(entries["items"][0]["action"], "deployment.activate");
    assert_eq!(entries["items"][0]["subject_text"], "deployment/late_arrival@2");
    let newest = world.get("/api/v1/ledger/entries?newest=true&limit=1").await.json();
    assert_eq!(newest["items"][0]["seq"], 2);
    let verified = world.get("/api/v1/ledger/verify").await.json();
    assert_eq!((&verified["sound"], &verified["entries"]), (&json!(true), &json!(2)));
    assert!(verified["head"].as_str().unwrap().starts_with("sha256:"));
    world.get("/api/v1/ledger/entries?subject=nonsense").await.is_problem(400, "bad-reference");
}

#[tokio::test]
async fn metrics_status_and_description_are_there() {
    let world = World::make().await;
    world.post(PREDICT, r#"{"carrier": "UA", "distance": 100}"#).await;
    world.post(PREDICT, r#"{"carrier": "UA"}"#).await;
    let metrics = String::from_utf8(world.get("/metrics").await.body).unwrap();
    for line in [
        "loopwright_predict_requests_total{endpoint=\"late_arrival\"} 2",
        "loopwright_predict_errors_total{endpoint=\"late_arrival\",code=\"invalid-predict-request\"} 1",
        "loopwright_predictions_total{endpoint=\"late_arrival\",model=\"late_arrival\",version=\"2\",role=\"champion\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    let status = world.get("/api/v1/status").await.json();
    assert_eq!((&status["endpoints"], &status["champions"][0]), (&json!(1), &json!("late_arrival@2")));
    let described = world.get("/api/v1/openapi.json").await.json();
    assert!(described["openapi"].as_str().unwrap().starts_with("3."));
    for route in lw_server::routes().into_iter().filter(lw_server::Route::is_native) {
        let operation = &described["paths"][route.path][route.method.as_str().to_lowercase()];
        assert_eq!(operation["summary"], route.summary, "{}", route.path);
        assert_eq!(operation["x-loopwright-action"], route.action.name(), "{}", route.path);
    }
    assert_eq!(world.get("/health").await.json(), json!({"status": "ok"}));
}
