//! A server over SQLite, artifacts, Delta tables and a small model, called in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use http_body_util::BodyExt;
use lw_core::{Actor, Ctx, DataType, Digest, Name, SeededIds, SimulatedClock, Timestamp};
use lw_engine::{Engine, EngineOptions};
use lw_features::MemoryStore;
use lw_onnx::{Element, GraphBuilder};
use lw_server::{Access, App, Authentication, Limits, Platform, Token};
use lw_serving::{Activation, Bundle, ModelInput, Output, RequestField, Routing, Served, Serving, ServingMetrics, ServingParts};
use lw_store::{Artifacts, MetadataUrl, Store};
use serde_json::Value;
use tower::ServiceExt;

pub struct World {
    /// Where everything lies, for as long as the world stands.
    _dir: tempfile::TempDir,
    pub app: App,
    pub router: Router,
    pub token: String,
    pub clock: Arc<SimulatedClock>,
}

pub struct Answer {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let json = self.json();
        assert_eq!((json["code"].as_str().unwrap(), json["status"].as_u64().unwrap()), (code, u64::from(status)), "{json}");
        assert!(json["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{json}");
    }
}

impl World {
    /// A world with one endpoint `late_arrival` at generation 2: version 1, then version 2.
    pub async fn make() -> Self {
        Self::with(Authentication::Token, Limits { body_bytes: 1 << 20, timeout: Duration::from_secs(30) }).await
    }

    pub async fn with(authentication: Authentication, limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::at(Timestamp::parse("2013-06-01T12:00:00Z").unwrap()));
        let artifacts = Artifacts::open(&format!("file://{}", dir.path().join("artifacts").display())).unwrap();
        let store = Store::open(&MetadataUrl::sqlite(dir.path().join("metadata.db"))).unwrap();
        let tables_dir = dir.path().join("tables");
        let serving = Arc::new(Serving::new(ServingParts {
            store: store.clone(),
            artifacts: artifacts.clone(),
            engine: Engine::open(EngineOptions { tables_dir, memory_limit_bytes: 64 << 20, n_threads: 1 }).unwrap(),
            online: Arc::new(MemoryStore::default()),
            predictions_dir: dir.path().join("predictions"),
            metrics: ServingMetrics::default(),
        }));
        let ids = Arc::new(SeededIds::new(7));
        let ctx = Ctx { clock: clock.clone(), ids: ids.clone(), actor: Actor::new("ana"), request_id: "setup".into() };
        for version in 1..=2 {
            let served = store_version(&artifacts, version).await;
            let activation = Activation {
                endpoint: Name::parse("late_arrival").unwrap(),
                expected_generation: version - 1,
                routing: Routing::only(served),
                reason: "approved by bo".to_owned(),
            };
            serving.activate(&ctx, activation).await.unwrap();
        }
        let token = Token::of_process().unwrap();
        let access = Access { authentication, token, is_loopback: true };
        let app = App::new(Platform { store, artifacts, serving, traces: None, clock: clock.clone(), ids }, access, limits);
        let token = app.local_token().unwrap_or_default();
        Self { router: lw_server::router(app.clone()), app, token, clock, _dir: dir }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.into_body().collect().await.unwrap().to_bytes().to_vec() }
    }

    pub fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        request_with(&self.token, method, path)
    }

    /// Sends a request with a token of somebody's own.
    pub async fn send_as(&self, token: &str, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(request_with(token, method, path).body(body.into()).unwrap()).await
    }

    /// Adds somebody with roles, and returns a token of theirs: its id and its text.
    pub async fn add(&self, name: &str, roles: &[&str]) -> (String, String) {
        let body = serde_json::json!({"name": name, "roles": roles});
        let added = self.post("/api/v1/identities", body.to_string()).await;
        assert_eq!(added.status, 200, "{}", String::from_utf8_lossy(&added.body));
        let issued =
            self.post(&format!("/api/v1/identities/{name}/tokens"), r#"{"label": "test", "expires_in": "1h"}"#).await.json();
        (issued["id"].as_str().unwrap().to_owned(), issued["text"].as_str().unwrap().to_owned())
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(self.request("POST", path).body(body.into()).unwrap()).await
    }
}

fn request_with(token: &str, method: &str, path: &str) -> axum::http::request::Builder {
    let authorization = format!("Bearer {token}");
    Request::builder().method(method).uri(path).header(header::HOST, "localhost").header(header::AUTHORIZATION, authorization)
}

/// A model whose score is `0.1 × version + 0.001 × distance`.
async fn store_version(artifacts: &Artifacts, version: u64) -> Served {
    let mut graph = GraphBuilder::new("linear");
    let distance = graph.input("distance", Element::Float, 1);
    let score = graph.linear_regressor(&distance, &[0.001], 0.1 * version as f32);
    graph.output("probability", &score, Element::Float, Some(1));
    let artifact = artifacts.put(graph.finish().unwrap().encode()).await.unwrap();
    let field = |name: &str, data_type, required| RequestField { name: name.to_owned(), data_type, required };
    let bundle = Bundle {
        model: Name::parse("late_arrival").unwrap(),
        version,
        artifact,
        id: Some("flight_id".to_owned()),
        request: vec![
            field("carrier", DataType::String, true),
            field("distance", DataType::Float64, true),
            field("seats", DataType::Int64, false),
            field("scheduled_at", DataType::Timestamp, false),
        ],
        features: vec![],
        expressions: vec![],
        inputs: vec![ModelInput { name: "distance".to_owned(), data_type: DataType::Float64 }],
        output: Output::Probability { threshold: 0.5 },
    };
    let digest: Digest = artifacts.put(bundle.to_json()).await.unwrap();
    Served { model: bundle.model, version, bundle: digest }
}
