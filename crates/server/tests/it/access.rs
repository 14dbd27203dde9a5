//! Who gets in, and what a hostile request meets.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lw_server::{ACTOR, Action, Authentication, Limits, REQUEST_ID};

use crate::world::World;

/// A path with something in the place of its parameters.
pub fn concrete(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn no_route_answers_without_the_token() {
    let world = World::make().await;
    let wrong = format!("Bearer lw_{}", "0".repeat(64));
    for route in lw_server::routes() {
        for authorization in [None, Some(wrong.as_str()), Some("Bearer "), Some("Basic Zm9vOmJhcg=="), Some("Bearer ' OR 1=1--")]
        {
            let mut request =
                Request::builder().method(route.method.clone()).uri(concrete(route.path)).header(header::HOST, "localhost");
            if let Some(authorization) = authorization {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            if route.action == Action::Probe {
                assert_eq!(answer.status, 200, "{}", route.path);
            } else {
                let code = if authorization.is_none() { "token-missing" } else { "bad-token" };
                if route.is_native() {
                    answer.is_problem(401, code);
                } else {
                    assert_eq!((answer.status, &answer.json()["error_code"]), (401, &"UNAUTHENTICATED".into()), "{}", route.path);
                }
                assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
            }
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_avoids_the_token() {
    let world = World::make().await;
    for path in [
        "/api/v1/endpoints/",
        "//api/v1/endpoints",
        "/API/v1/endpoints",
        "/api/v1/endpoints;x",
        "/health/../api/v1/endpoints",
        "/v2/health/live/x",
        "/%68ealth",
        "/nothing",
    ] {
        let request = Request::builder().uri(path).header(header::HOST, "localhost").header("x-http-method-override", "GET");
        world.send(request.body(Body::empty()).unwrap()).await.is_problem(401, "token-missing");
    }
    world.get("/api/v1/endpoint").await.is_problem(404, "unknown-route");
    world.post("/api/v1/endpoints", "{}").await.is_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_browser_shows_the_status_page_with_the_token_as_password() {
    let world = World::make().await;
    let credentials = STANDARD.encode(format!("ana:{}", world.token));
    let request = Request::builder()
        .uri("/")
        .header(header::HOST, "127.0.0.1:8760")
        .header(header::AUTHORIZATION, format!("Basic {credentials}"));
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    let page = String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!(answer.status, 200);
    for part in ["Endpoint late_arrival", "late_arrival@2", "generation 2", "approved by bo", "deployment.activate"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    assert!(answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
}

#[tokio::test]
async fn a_page_of_another_site_reaches_nothing() {
    let world = World::make().await;
    let request = |host: &str| Request::builder().uri("/health").header(header::HOST, host);
    world.send(request("evil.com").body(Body::empty()).unwrap()).await.is_problem(421, "foreign-host");
    let foreign = request("localhost").header(header::ORIGIN, "http://evil.com");
    let answer = world.send(foreign.body(Body::empty()).unwrap()).await;
    answer.is_problem(403, "foreign-origin");
    assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
}

#[tokio::test]
async fn without_authentication_a_local_caller_needs_no_token() {
    let world = World::with(Authentication::None, Limits::STANDARD).await;
    let request = Request::builder().uri("/api/v1/endpoints").header(header::HOST, "localhost");
    assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.status, 200);
    assert_eq!(world.app.local_token(), None);
}

#[tokio::test]
async fn requests_have_ids_and_actors() {
    let world = World::make().await;
    let named = world.request("GET", "/health").header(REQUEST_ID, "my-id").body(Body::empty()).unwrap();
    assert_eq!(world.send(named).await.headers[REQUEST_ID], "my-id");
    let bad = world.request("GET", "/health").header(REQUEST_ID, "a b").body(Body::empty()).unwrap();
    assert_eq!(world.send(bad).await.headers[REQUEST_ID].len(), 32);
    let forged = world.request("GET", "/api/v1/endpoints").header(ACTOR, "loopwright:monitor").body(Body::empty()).unwrap();
    world.send(forged).await.is_problem(400, "bad-actor");
    let rollback = world.request("POST", "/api/v1/endpoints/late_arrival/rollback").header(ACTOR, "bea").header(REQUEST_ID, "r7");
    assert_eq!(world.send(rollback.body(Body::from(r#"{"reason": "worse"}"#)).unwrap()).await.status, 200);
    let entries = world.get("/api/v1/ledger/entries?action=deployment.rollback").await.json();
    assert_eq!((entries["items"][0]["actor"].as_str(), entries["items"][0]["request_id"].as_str()), (Some("bea"), Some("r7")));
}

#[tokio::test]
async fn bodies_are_limited_and_read_strictly() {
    let world = World::make().await;
    world.post("/api/v1/endpoints/late_arrival/predict", vec![b' '; 2 << 20]).await.is_problem(413, "body-too-large");
    for body in [
        "{\"reason\": \"a\", \"reason\": \"b\"}",
        "{\"is_admin\": true}",
        "{\"generation\": 1e400}",
        "{\"generation\": NaN}",
        "[",
        "{} {}",
    ] {
        world.post("/api/v1/endpoints/late_arrival/rollback", body).await.is_problem(400, "invalid-body");
    }
    let deep = format!("{{\"reason\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    world.post("/api/v1/endpoints/late_arrival/rollback", deep).await.is_problem(400, "invalid-body");
    world.get("/api/v1/ledger/entries?limit=many").await.is_problem(400, "invalid-query");
    world.get("/api/v1/ledger/entries?colour=red").await.is_problem(400, "invalid-query");
}

#[test]
fn every_route_says_what_it_does() {
    let routes = lw_server::routes();
    let places: BTreeSet<(String, &str)> = routes.iter().map(|route| (route.method.to_string(), route.path)).collect();
    assert_eq!(places.len(), routes.len(), "no route stands twice");
    assert!(routes.iter().all(|route| !route.resource.is_empty() && route.is_native() != route.summary.is_empty()));
    let is_change = |action| matches!(action, Action::Write | Action::Deploy | Action::Approve);
    let changing: Vec<_> = routes.iter().filter(|route| is_change(route.action)).collect();
    assert!(changing.len() > 10 && changing.iter().all(|route| route.method != "GET"), "reads change nothing");
    assert!(changing.iter().filter(|route| route.is_native()).all(|route| route.method == "POST"), "our own API has one verb");
}
