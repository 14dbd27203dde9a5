//! Identities and tokens as administrators and holders use them.

use axum::body::Body;
use axum::http::{Request, header};
use lw_core::{Span, Timestamp};
use lw_server::ACTOR;
use serde_json::json;

use crate::world::World;

const ENDPOINTS: &str = "/api/v1/endpoints";

#[tokio::test]
async fn a_token_acts_for_its_holder_until_it_is_revoked() {
    let world = World::make().await;
    let (id, token) = world.add("bea", &["engineer"]).await;
    let send = async |actor: Option<&str>| {
        let mut request = Request::post("/api/v1/endpoints/late_arrival/rollback")
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if let Some(actor) = actor {
            request = request.header(ACTOR, actor);
        }
        world.send(request.body(Body::from(r#"{"reason": "slow"}"#)).unwrap()).await
    };
    send(Some("ana")).await.is_problem(403, "foreign-actor");
    assert_eq!(send(Some("bea")).await.json()["activated_by"], "bea");
    let revoked = world.post(&format!("/api/v1/tokens/{id}/revoke"), "").await.json();
    assert_eq!(revoked["state"], "revoked");
    send(None).await.is_problem(401, "bad-token");
    world.post(&format!("/api/v1/tokens/{}/revoke", "0".repeat(32)), "").await.is_problem(404, "token-not-found");
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let world = World::make().await;
    let (_, token) = world.add("bea", &["viewer"]).await;
    assert_eq!(world.send_as(&token, "GET", ENDPOINTS, "").await.status, 200);
    world.clock.set(Timestamp::parse("2013-06-01T12:00:00Z").unwrap() + Span::from_hours(1));
    world.send_as(&token, "GET", ENDPOINTS, "").await.is_problem(401, "bad-token");
    let listed = world.get("/api/v1/tokens?identity=bea").await.json();
    assert_eq!((&listed["items"][0]["state"], &listed["items"][0]["label"]), (&json!("expired"), &json!("test")));
    for lifetime in ["0s", "367d", "90000000d"] {
        let body = json!({"expires_in": lifetime}).to_string();
        world.post("/api/v1/identities/bea/tokens", body).await.is_problem(400, "bad-expiry");
    }
    world.post("/api/v1/identities/bea/tokens", r#"{"expires_in": "soon"}"#).await.is_problem(400, "invalid-body");
}

#[tokio::test]
async fn disabling_somebody_ends_all_their_tokens_at_once() {
    let world = World::make().await;
    let (_, token) = world.add("bea", &["viewer"]).await;
    assert_eq!(world.post("/api/v1/identities/bea/disable", "").await.json()["state"], "disabled");
    world.send_as(&token, "GET", ENDPOINTS, "").await.is_problem(401, "bad-token");
    world.post("/api/v1/identities/bea/tokens", "").await.is_problem(409, "actor-disabled");
    world.post("/api/v1/identities/bea/enable", "").await;
    assert_eq!(world.send_as(&token, "GET", ENDPOINTS, "").await.status, 200);
}

#[tokio::test]
async fn a_token_of_another_workspace_is_nothing_here() {
    let (here, there) = (World::make().await, World::make().await);
    let (_, token) = there.add("bea", &["admin"]).await;
    here.add("bea", &["admin"]).await;
    here.send_as(&token, "GET", ENDPOINTS, "").await.is_problem(401, "bad-token");
    here.send_as(&there.token, "GET", ENDPOINTS, "").await.is_problem(401, "bad-token");
}

#[tokio::test]
async fn administrators_manage_others_but_not_themselves() {
    let world = World::make().await;
    let (_, admin) = world.add("ada", &["admin"]).await;
    let added = world.send_as(&admin, "POST", "/api/v1/identities", r#"{"name": "bo", "roles": ["approver"]}"#).await.json();
    assert_eq!((&added["kind"], &added["display_name"]), (&json!("person"), &json!("bo")));
    for (path, body) in [("roles", r#"{"grant": ["approver"]}"#), ("disable", "")] {
        let path = format!("/api/v1/identities/ada/{path}");
        world.send_as(&admin, "POST", &path, body).await.is_problem(403, "own-access");
    }
    let entry = world.get("/api/v1/ledger/entries?subject=actor/bo").await.json();
    assert_eq!((&entry["items"][0]["actor"], &entry["items"][0]["action"]), (&json!("ada"), &json!("actor.create")));
    assert_eq!(entry["items"][0]["payload"]["roles"], json!(["approver"]));
    for (body, status, code) in [
        (r#"{"name": "bo"}"#, 409, "actor-exists"),
        (r#"{"name": "loopwright:monitor"}"#, 400, "bad-actor"),
        (r#"{"name": "cy", "roles": ["root"]}"#, 400, "bad-role"),
        (r#"{"name": "service:ci", "roles": ["approver"]}"#, 400, "bad-role"),
        (r#"{"name": "cy", "is_admin": true}"#, 400, "invalid-body"),
        (r#"{"name": "cy", "display_name": "a\nb"}"#, 400, "bad-label"),
    ] {
        world.post("/api/v1/identities", body).await.is_problem(status, code);
    }
    let names = world.get("/api/v1/identities?after=ada").await.json();
    assert_eq!((&names["items"][0]["name"], names["items"].as_array().unwrap().len()), (&json!("bo"), 1));
    world.get("/api/v1/identities/nobody").await.is_problem(404, "actor-not-found");
    let verified = world.get("/api/v1/ledger/verify").await.json();
    assert_eq!(verified["sound"], true);
}

#[tokio::test]
async fn everybody_sees_and_ends_their_own_tokens() {
    let world = World::make().await;
    let ((id, token), (other_id, _)) = (world.add("service:shop", &["predictor"]).await, world.add("bea", &[]).await);
    let me = world.send_as(&token, "GET", "/api/v1/whoami", "").await.json();
    assert_eq!((&me["actor"], &me["proof"], &me["token"]["id"]), (&json!("service:shop"), &json!("token"), &json!(id)));
    assert_eq!(me["identity"]["roles"], json!(["predictor"]));
    let own = world.send_as(&token, "GET", "/api/v1/whoami/tokens", "").await.json();
    assert_eq!((own["items"].as_array().unwrap().len(), &own["items"][0]["id"]), (1, &json!(id)));
    let other = format!("/api/v1/whoami/tokens/{other_id}/revoke");
    world.send_as(&token, "POST", &other, "").await.is_problem(404, "token-not-found");
    assert_eq!(world.send_as(&token, "POST", &format!("/api/v1/whoami/tokens/{id}/revoke"), "").await.status, 200);
    world.send_as(&token, "GET", "/api/v1/whoami", "").await.is_problem(401, "bad-token");

    let owner = world.get("/api/v1/whoami").await.json();
    assert_eq!((&owner["owner"], &owner["proof"], &owner["actor"]), (&json!(true), &json!("claim"), &json!("local")));
    assert_eq!(world.get("/api/v1/whoami/tokens").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_token_is_shown_once_and_never_again() {
    let world = World::make().await;
    let (_, token) = world.add("bea", &["admin"]).await;
    let secret = token.rsplit('_').next().unwrap().to_owned();
    for path in ["/api/v1/tokens", "/api/v1/identities", "/api/v1/ledger/entries", "/api/v1/whoami", "/"] {
        let answer = world.send_as(&token, "GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(&secret), "{path}");
    }
    let wrong = format!("{token}0");
    let answer = world.send_as(&wrong, "GET", ENDPOINTS, "").await;
    assert!(!String::from_utf8_lossy(&answer.body).contains(&secret));
}
