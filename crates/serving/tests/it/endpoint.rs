//! Answers, canaries, switches, rollbacks and shadows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lw_core::{Kind, Span};
use lw_serving::failures::{NO_PREVIOUS_DEPLOYMENT, STALE_GENERATION};
use lw_serving::{Canary, Role, Routing, Tally};

use crate::world::{ENDPOINT, World, bundle, close, expected, linear_model, name, noon};

#[tokio::test]
async fn a_prediction_joins_features_and_expressions() {
    let world = World::make().await;
    let serving = world.serving().await;
    let first = world.version(1, 0.1).await;
    serving.activate(&world.ctx("deploy"), world.activation(0, Routing::only(first))).await.unwrap();
    let endpoint = serving.endpoint(ENDPOINT).unwrap();

    let body = br#"{"rows": [
        {"flight_id": "fresh", "carrier": "AA", "distance": 100},
        {"flight_id": "stale", "carrier": "B6", "distance": 100},
        {"carrier": "unknown", "distance": 50}
    ]}"#;
    let predictions = endpoint.predict_json(&world.ctx("r1"), body).unwrap();
    close(predictions.scores[0], expected(0.1, 10.0, 100.0));
    close(predictions.scores[1], expected(0.1, 20.0, 100.0));
    close(predictions.scores[2], expected(0.1, 20.0, 50.0));
    let json: serde_json::Value = serde_json::to_value(&predictions).unwrap();
    assert_eq!(json["generation"], 1);
    assert_eq!(json["predictions"][0]["id"], "fresh");
    assert_eq!(json["predictions"][2]["id"], "r1.2", "a row without an id is named after its request");
    assert_eq!(json["predictions"][0]["predicted"], false);
    assert_eq!(json["predictions"][0]["role"], "champion");
    let gaps = serde_json::json!([{"view": world.view.definition.name(), "version": 1, "missing": 1, "expired": 1}]);
    assert_eq!(json["lookups"], gaps, "a row of nulls is told");
    let whole = endpoint.predict_json(&world.ctx("r1"), br#"{"carrier": "AA", "distance": 100}"#).unwrap();
    assert!(serde_json::to_value(&whole).unwrap().get("lookups").is_none(), "nothing to tell");

    world.clock.set(noon() + Span::from_hours(24));
    let later = endpoint.predict_json(&world.ctx("r2"), br#"{"carrier": "AA", "distance": 100}"#).unwrap();
    close(later.scores[0], expected(0.1, 20.0, 100.0));
}

#[tokio::test]
async fn a_bad_request_is_refused_and_counted() {
    let world = World::make().await;
    let serving = world.serving().await;
    let first = world.version(1, 0.1).await;
    serving.activate(&world.ctx("deploy"), world.activation(0, Routing::only(first))).await.unwrap();
    let endpoint = serving.endpoint(ENDPOINT).unwrap();
    let error = endpoint.predict_json(&world.ctx("r"), br#"{"carrier": "AA", "distanc": 100}"#).unwrap_err();
    assert_eq!((error.code(), error.hint_text()), ("invalid-predict-request", Some("did you mean `distance`?")));
    assert_eq!(serving.endpoint("late_arival").err().unwrap().hint_text(), Some("did you mean `late_arrival`?"));

    let mut registry = prometheus_client::registry::Registry::default();
    serving.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(
        text.contains("loopwright_predict_errors_total{endpoint=\"late_arrival\",code=\"invalid-predict-request\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_canary_answers_its_share_and_sticks_to_entities() {
    let world = World::make().await;
    let serving = world.serving().await;
    let (first, second) = (world.version(1, 0.1).await, world.version(2, 0.2).await);
    let canary = Some(Canary { served: second, share: 0.3 });
    let routing = Routing { canary, ..Routing::only(first) };
    serving.activate(&world.ctx("deploy"), world.activation(0, routing)).await.unwrap();
    let endpoint = serving.endpoint(ENDPOINT).unwrap();

    let rows: Vec<String> =
        (0..1000).map(|n| format!(r#"{{"flight_id": "f{n}", "carrier": "AA", "distance": {}}}"#, n % 300)).collect();
    let all = endpoint.predict_json(&world.ctx("all"), format!("{{\"rows\": [{}]}}", rows.join(",")).as_bytes()).unwrap();
    let mut n_canary = 0;
    for row in 0..all.len() {
        let role = all.answerer(row).unwrap().role;
        n_canary += usize::from(role == Role::Canary);
        let intercept = if role == Role::Canary { 0.2 } else { 0.1 };
        let wanted = expected(intercept, 10.0, (row % 300) as f64);
        assert!((all.scores[row] - wanted).abs() < 1e-6, "row {row} was answered in its own place");
    }
    assert!((240..360).contains(&n_canary), "{n_canary} of 1000 at a share of 0.3");
    for row in [0, 1, 2, 500, 999] {
        let alone = endpoint.predict_json(&world.ctx("one"), rows[row].as_bytes()).unwrap();
        assert_eq!(alone.answerer(0).unwrap(), all.answerer(row).unwrap(), "the same entity meets the same version");
    }
}

#[tokio::test]
async fn a_failing_canary_costs_no_answer() {
    let world = World::make().await;
    let serving = world.serving().await;
    // The score leaves [0, 1] for long flights: a canary that fails on some rows only.
    let (first, broken) =
        (world.version(1, 0.1).await, world.store(bundle(2), linear_model(0.7, &["delay", "distance_km"])).await);
    let routing = Routing { canary: Some(Canary { served: broken.clone(), share: 0.999 }), ..Routing::only(first) };
    serving.activate(&world.ctx("deploy"), world.activation(0, routing)).await.unwrap();
    let endpoint = serving.endpoint(ENDPOINT).unwrap();
    let row = br#"{"flight_id": "a", "carrier": "AA", "distance": 300}"#;
    let answer = endpoint.predict_json(&world.ctx("r"), row).unwrap();
    assert_eq!(answer.answerer(0).unwrap().role, Role::Champion);
    close(answer.scores[0], expected(0.1, 10.0, 300.0));
    let tallies = endpoint.tallies();
    assert_eq!(tallies[1], Tally { served: broken, role: Role::Canary, n_answered: 0, n_failed: 1 });
    assert_eq!(tallies[0].n_answered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_drops_no_request_and_mixes_no_answer() {
    let world = World::make().await;
    let serving = world.serving().await;
    let versions = [world.version(1, 0.1).await, world.version(2, 0.2).await];
    serving.activate(&world.ctx("deploy"), world.activation(0, Routing::only(versions[0].clone()))).await.unwrap();
    let endpoint = serving.endpoint(ENDPOINT).unwrap();

    let (stop, n_answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (endpoint, stop, n_answers, ctx) =
                (Arc::clone(&endpoint), Arc::clone(&stop), Arc::clone(&n_answers), world.ctx("r"));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = endpoint.predict_json(&ctx, br#"{"carrier": "AA", "distance": 100}"#).unwrap();
                    let version = answer.answerer(0).unwrap().served.version;
                    assert_eq!(version, if answer.generation % 2 == 1 { 1 } else { 2 });
                    close(answer.scores[0], expected(0.1 * version as f64, 10.0, 100.0));
                    n_answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for generation in 1..20 {
        let routing = Routing::only(versions[generation % 2].clone());
        serving.activate(&world.ctx("switch"), world.activation(generation as u64, routing)).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert!(n_answers.load(Ordering::Relaxed) > 100);
    let delivered = serving.deliver().await.unwrap();
    assert_eq!(delivered[0].1.n_rows, n_answers.load(Ordering::Relaxed), "every answer is in the table");
}

#[tokio::test]
async fn rollbacks_walk_back_and_one_of_two_changes_wins() {
    let world = World::make().await;
    let serving = world.serving().await;
    let ctx = world.ctx("deploy");
    let mut versions = Vec::new();
    for version in 1..=3 {
        versions.push(world.version(version, 0.1 * version as f32).await);
        let routing = Routing::only(versions[version as usize - 1].clone());
        serving.activate(&ctx, world.activation(version - 1, routing)).await.unwrap();
    }
    let stale = serving.activate(&ctx, world.activation(1, Routing::only(versions[0].clone()))).await.unwrap_err();
    assert!(stale.is(STALE_GENERATION) && stale.kind() == Kind::Conflict, "{stale:?}");

    let endpoint = name(ENDPOINT);
    let roll_back = async |generation| serving.roll_back(&ctx, &endpoint, Some(generation), "worse".to_owned()).await;
    let standing = || serving.endpoint(ENDPOINT).unwrap().routes().champion().served().version;
    let back = roll_back(3).await.unwrap();
    assert_eq!((back.generation, back.restores, standing()), (4, Some(2), 2));
    let further = roll_back(4).await.unwrap();
    assert_eq!((further.generation, further.restores, standing()), (5, Some(1), 1));
    assert!(roll_back(5).await.unwrap_err().is(NO_PREVIOUS_DEPLOYMENT));
    assert!(roll_back(4).await.unwrap_err().is(STALE_GENERATION));

    let store = &world.parts.store;
    let history = lw_serving::history(store, &endpoint, None, 10).await.unwrap();
    assert_eq!(history.iter().map(|deployment| deployment.generation).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    let page = lw_serving::history(store, &endpoint, Some(3), 1).await.unwrap();
    assert_eq!(page[0].generation, 2);
    assert!(store.verify().await.unwrap().is_sound());
    let entries = store.entries(lw_store::EntryFilter::all().action("deployment.rollback")).await.unwrap();
    assert_eq!(entries[0].subject.to_string(), "deployment/late_arrival@4");
    assert_eq!(entries[0].inputs[0].subject.to_string(), "model_version/late_arrival@2");
    assert_eq!(entries[0].inputs[0].digest, Some(versions[1].bundle));
    assert_eq!(entries[0].payload["champion"], "late_arrival@2");
}

#[tokio::test]
async fn a_rollback_that_breaks_off_moves_nothing() {
    let world = World::make().await;
    let serving = world.serving().await;
    let ctx = world.ctx("deploy");
    for version in 1..=2 {
        let routing = Routing::only(world.version(version, 0.1 * version as f32).await);
        serving.activate(&ctx, world.activation(version - 1, routing)).await.unwrap();
    }
    let endpoint = name(ENDPOINT);
    let broken = |_: &mut lw_store::Tx<'_>, _: &lw_serving::Deployment| Err(lw_core::Error::bug("the power is gone"));
    let error = serving.roll_back_with(&ctx, &endpoint, None, "worse".to_owned(), broken).await.unwrap_err();
    assert!(error.message().contains("the power is gone"), "{error:?}");
    let store = &world.parts.store;
    assert_eq!(lw_serving::current(store, &endpoint).await.unwrap().generation, 2);
    assert_eq!(serving.endpoint(ENDPOINT).unwrap().routes().champion().served().version, 2);
    assert!(store.entries(lw_store::EntryFilter::all().action("deployment.rollback")).await.unwrap().is_empty());
    assert!(store.verify().await.unwrap().is_sound());

    let back = serving.roll_back(&ctx, &endpoint, None, "worse".to_owned()).await.unwrap();
    assert_eq!((back.generation, back.restores), (3, Some(1)), "without a generation the standing one is meant");
}

#[tokio::test]
async fn a_restart_and_another_process_follow_the_database() {
    let world = World::make().await;
    let ctx = world.ctx("deploy");
    let (one, two) = (world.serving().await, world.version(1, 0.1).await);
    one.activate(&ctx, world.activation(0, Routing::only(two))).await.unwrap();
    drop(one);

    let serving = world.serving().await;
    assert_eq!(serving.endpoint(ENDPOINT).unwrap().routes().deployment().generation, 1);
    let next = world.version(2, 0.2).await;
    let activation = world.activation(1, Routing::only(next));
    world.parts.store.write(&ctx, move |tx| lw_serving::activate(tx, activation)).await.unwrap();
    assert!(serving.sync().await.unwrap().is_empty());
    assert_eq!(serving.endpoint(ENDPOINT).unwrap().routes().deployment().generation, 2);
}

#[tokio::test]
async fn shadows_score_for_the_log_only() {
    let world = World::make().await;
    let serving = world.serving().await;
    let (first, second) = (world.version(1, 0.1).await, world.version(2, 0.2).await);
    let routing = Routing { shadows: vec![second], ..Routing::only(first) };
    serving.activate(&world.ctx("deploy"), world.activation(0, routing)).await.unwrap();
    let endpoint = serving.endpoint(ENDPOINT).unwrap();
    for n in 0..5 {
        let body = format!(r#"{{"flight_id": "f{n}", "carrier": "AA", "distance": 100}}"#);
        let answer = endpoint.predict_json(&world.ctx("r"), body.as_bytes()).unwrap();
        assert_eq!(answer.answerer(0).unwrap().served.version, 1);
    }
    serving.deliver().await.unwrap();
    let logged = world.logged("role, id, version, round(score, 4)").await;
    assert_eq!(logged.len(), 10);
    assert_eq!(logged[0], "champion f0 1 0.3609");
    assert_eq!(logged[5], "shadow f0 2 0.4609");
}
