//! Which role reaches which route.

use lw_core::{Clock, Span};
use lw_governance::Role;
use lw_server::{Action, Route};

use crate::access::concrete;
use crate::world::{Answer, World};

/// Every action, and the roles that may do it. Written out, so that a change of the rules is a change of this table.
const MATRIX: &[(Action, &[Role])] = &[
    (Action::Probe, Role::ALL),
    (Action::Connect, Role::ALL),
    (Action::Read, &[Role::Viewer, Role::Engineer, Role::Approver, Role::Admin]),
    (Action::Predict, &[Role::Predictor, Role::Engineer]),
    (Action::Write, &[Role::Engineer]),
    (Action::Deploy, &[Role::Engineer]),
    (Action::Approve, &[Role::Approver]),
    (Action::Administer, &[Role::Admin]),
];

#[tokio::test]
async fn every_role_reaches_its_routes_and_no_others() {
    let world = World::make().await;
    for role in Role::ALL {
        let (_, token) = world.add(role.name(), &[role.name()]).await;
        for route in lw_server::routes() {
            let (_, allowed) = MATRIX.iter().find(|(action, _)| *action == route.action).unwrap();
            // The body is none that a handler takes, so that what is allowed changes nothing.
            let answer = world.send_as(&token, route.method.as_str(), &concrete(route.path), "[]").await;
            let place = format!("{role} {} {}", route.method, route.path);
            if allowed.contains(role) {
                assert_ne!(answer.status, 401, "{place}");
                assert!(answer.status != 403 || !lacks_role(&route, &answer), "{place}");
            } else {
                assert_eq!(answer.status, 403, "{place}");
                assert!(lacks_role(&route, &answer), "{place}");
            }
        }
    }
}

fn lacks_role(route: &Route, answer: &Answer) -> bool {
    if route.is_native() {
        return answer.json()["code"] == "role-missing";
    }
    answer.json()["error_code"] == "PERMISSION_DENIED" && String::from_utf8_lossy(&answer.body).contains("role")
}

#[tokio::test]
async fn somebody_without_a_role_only_connects() {
    let world = World::make().await;
    let (_, token) = world.add("bo", &[]).await;
    let me = world.send_as(&token, "GET", "/api/v1/whoami", "").await.json();
    assert_eq!((&me["actor"], &me["may"]), (&"bo".into(), &serde_json::json!(["probe", "connect"])));
    world.send_as(&token, "GET", "/api/v1/endpoints", "").await.is_problem(403, "role-missing");
    world.send_as(&token, "GET", "/nothing", "").await.is_problem(404, "unknown-route");
    world.send_as(&token, "POST", "/health", "").await.is_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_program_that_predicts_can_do_nothing_else() {
    let world = World::make().await;
    let (_, token) = world.add("service:shop", &["predictor"]).await;
    let predict = "/api/v1/endpoints/late_arrival/predict";
    let answer = world.send_as(&token, "POST", predict, r#"{"carrier": "UA", "distance": 100}"#).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(
        world.send_as(&token, "GET", "/v2/models/late_arrival", "").await.status,
        200,
        "its client asks what the model takes"
    );
    for (method, path) in [
        ("POST", "/api/v1/endpoints/late_arrival/rollback"),
        ("GET", "/api/v1/ledger/entries"),
        ("GET", "/"),
        ("GET", "/api/v1/tokens"),
        ("POST", "/api/v1/project/apply"),
    ] {
        world.send_as(&token, method, path, "{}").await.is_problem(403, "role-missing");
    }
}

#[tokio::test]
async fn attempts_are_remembered_but_flood_nothing() {
    let world = World::make().await;
    let (_, token) = world.add("bo", &["viewer"]).await;
    for _ in 0..5 {
        world.send_as(&token, "POST", "/api/v1/endpoints/late_arrival/rollback", "{}").await.is_problem(403, "role-missing");
    }
    let refusals = async || world.get("/api/v1/ledger/entries?action=access.refuse").await.json()["items"].clone();
    let found = refusals().await;
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!((&found[0]["actor"], &found[0]["subject_text"]), (&"bo".into(), &"actor/bo".into()));
    assert_eq!(found[0]["payload"], serde_json::json!({"action": "deploy", "resource": "endpoint", "n_unrecorded": 0}));
    world.clock.set(world.clock.now() + Span::from_secs(60));
    world.send_as(&token, "POST", "/api/v1/endpoints/late_arrival/rollback", "{}").await;
    assert_eq!(refusals().await[1]["payload"]["n_unrecorded"], 4);
    assert_eq!(world.get("/api/v1/ledger/verify").await.json()["sound"], true);
}

#[tokio::test]
async fn roles_count_from_the_next_request_on() {
    let world = World::make().await;
    let (_, token) = world.add("bo", &["viewer"]).await;
    let body = r#"{"reason": "slow"}"#;
    let roll_back = async || world.send_as(&token, "POST", "/api/v1/endpoints/late_arrival/rollback", body).await;
    roll_back().await.is_problem(403, "role-missing");
    let changed = world.post("/api/v1/identities/bo/roles", r#"{"grant": ["engineer"], "revoke": ["viewer"]}"#).await.json();
    assert_eq!(changed["roles"], serde_json::json!(["engineer"]));
    assert_eq!(roll_back().await.json()["activated_by"], "bo");
    world.post("/api/v1/identities/bo/roles", r#"{"revoke": ["engineer"]}"#).await;
    roll_back().await.is_problem(403, "role-missing");
}
