//! Lineage over HTTP.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn lineage_is_walked_both_ways() {
    let world = World::make().await;
    let down = world.get("/api/v1/lineage?subject=model_version/late_arrival@1&direction=downstream").await.json();
    assert_eq!((&down["direction"], &down["complete"]), (&json!("downstream"), &json!(true)));
    assert_eq!(down["nodes"][0]["text"], "model_version/late_arrival@1");
    assert_eq!(
        down["nodes"][1],
        json!({
            "subject": {"kind": "deployment", "name": "late_arrival", "version": 1}, "depth": 1, "text": "deployment/late_arrival@1",
        })
    );
    let edge = &down["edges"][0];
    assert_eq!((&edge["from"], &edge["to"]), (&json!("model_version/late_arrival@1"), &json!("deployment/late_arrival@1")));
    assert_eq!((&edge["action"], &edge["seq"]), (&json!("deployment.activate"), &json!(1)));
    let up = world.get("/api/v1/lineage?subject=deployment/late_arrival@2").await.json();
    assert!(up["nodes"].as_array().unwrap().iter().any(|node| node["text"] == "model_version/late_arrival@2"), "{up}");
    let cut = world.get("/api/v1/lineage?subject=deployment/late_arrival&limit=1").await.json();
    assert_eq!((cut["nodes"].as_array().unwrap().len(), &cut["complete"]), (1, &json!(false)));
    let start = world.get("/api/v1/lineage?subject=deployment/late_arrival@2&depth=0").await.json();
    assert_eq!((start["nodes"].as_array().unwrap().len(), &start["complete"]), (1, &json!(false)));
}

#[tokio::test]
async fn an_unknown_subject_has_near_names() {
    let world = World::make().await;
    let answer = world.get("/api/v1/lineage?subject=deployment/late_arival@2").await;
    answer.is_problem(404, "unknown-subject");
    assert_eq!(answer.json()["hint"], "did you mean `deployment/late_arrival`?");
    world.get("/api/v1/lineage?subject=nonsense").await.is_problem(400, "bad-reference");
    world.get("/api/v1/lineage?direction=upstream").await.is_problem(400, "invalid-query");
    world.get("/api/v1/lineage?subject=a/b&direction=sideways").await.is_problem(400, "invalid-query");
}
