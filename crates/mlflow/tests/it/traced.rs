//! A server without a network that keeps traces.

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{Method, Request, StatusCode, header};
use lw_core::{Actor, Ctx};
use lw_engine::{Engine, EngineOptions};
use lw_mlflow::{Face, routes};
use lw_store::testing::{TestDirectory, both};
use lw_store::{Artifacts, Store};
use lw_traces::{TraceOptions, Traces};
use lw_tracking::Tracking;
use serde_json::Value;
use tower::ServiceExt as _;

pub struct Traced {
    router: Router,
    pub traces: Traces,
    pub experiment: String,
    _directory: TestDirectory,
}

/// Runs a test on SQLite and, if the environment names one, on PostgreSQL.
pub fn traced<F: AsyncFn(Traced)>(test: F) {
    let test = &test;
    both(|store| async move { test(Traced::make(store).await).await });
}

impl Traced {
    async fn make(store: Store) -> Self {
        let directory = TestDirectory::make();
        let at = |name: &str| directory.path().join(name);
        let artifacts = Artifacts::open(&format!("file://{}", at("artifacts").display())).unwrap();
        let options = EngineOptions { tables_dir: at("tables"), memory_limit_bytes: 256 << 20, n_threads: 1 };
        let engine = Engine::open(options).unwrap();
        let options = TraceOptions { dir: at("spans"), journal: "test".to_owned() };
        let traces = Traces::open(store.clone(), engine, options).await.unwrap();
        let ctx = Ctx::real(Actor::new("ana"), "request-1");
        let experiment = Tracking::new(store.clone()).ensure_experiment(&ctx, "assistant").await.unwrap();
        let face = Face::new(store, artifacts).with_traces(traces.clone());
        let router = routes().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
        let router = router.layer(Extension(ctx)).with_state(face);
        Self { router, traces, experiment: experiment.id.to_string(), _directory: directory }
    }

    pub async fn send(&self, request: Request<Body>) -> (StatusCode, String, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let media_type = response.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, media_type.unwrap_or_default(), body.to_vec())
    }

    /// Asks for `2.0/…` or `3.0/…`; a body of `null` is none.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(format!("/api/{path}"));
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
        };
        let (status, _, body) = self.send(request.unwrap()).await;
        (status.as_u16(), serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body.clone()).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        answer
    }

    pub async fn got(&self, path: &str) -> Value {
        self.done(Method::GET, path, Value::Null).await
    }

    pub async fn posted(&self, path: &str, body: Value) -> Value {
        self.done(Method::POST, path, body).await
    }

    pub async fn refused(&self, method: Method, path: &str, body: Value, status: u16, message: &str) {
        let (got, answer) = self.ask(method, path, body.clone()).await;
        assert_eq!((got, answer["message"].as_str().unwrap_or_default()), (status, message), "{path} {body}: {answer}");
    }

    /// Exports spans and returns status and body.
    pub async fn export(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, String, Vec<u8>) {
        let mut request = Request::builder().method(Method::POST).uri("/v1/traces");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, media_type, body) = self.send(request.body(body.into()).unwrap()).await;
        (status.as_u16(), media_type, body)
    }
}

/// What follows where a parameter is missing.
pub fn missing(name: &str) -> String {
    format!("Missing value for required parameter '{name}'. See the API docs for more information about request parameters.")
}
