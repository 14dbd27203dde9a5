//! A server without a network: the table of routes over a fresh database.

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{Method, Request, StatusCode, header};
use lw_core::{Actor, Ctx};
use lw_mlflow::{Face, routes};
use lw_store::testing::{TestDirectory, both_urls};
use lw_store::{Artifacts, Store};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub struct World {
    router: Router,
    pub face: Face,
    pub store: Store,
    _directory: TestDirectory,
}

/// Runs a test on SQLite and, if the environment names one, on PostgreSQL.
pub fn both<F: AsyncFn(World)>(test: F) {
    both_urls(|url| {
        let directory = TestDirectory::make();
        let store = Store::open(&url).unwrap();
        let artifacts = Artifacts::open(&format!("file://{}", directory.path().join("artifacts").display())).unwrap();
        let face = Face::new(store.clone(), artifacts);
        test(World { router: router(&face, "ana"), face, store, _directory: directory })
    });
}

fn router(face: &Face, actor: &str) -> Router {
    let router = routes().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    router.layer(Extension(Ctx::real(Actor::new(actor), "request-1"))).with_state(face.clone())
}

impl World {
    /// The same server for another caller.
    pub fn acting_as(self, actor: &str) -> Self {
        Self { router: router(&self.face, actor), ..self }
    }

    /// The same server, whose webhooks may reach this machine.
    pub fn reaching_loopback(self) -> Self {
        let face = Face::reaching(self.store.clone(), self.face.artifacts().clone(), lw_registry::Reach::LOOPBACK);
        Self { router: router(&face, "ana"), face, ..self }
    }

    pub async fn send(&self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, body.to_vec())
    }

    /// Sends a body as it is.
    pub async fn raw(&self, method: Method, path: &str, content_type: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/2.0/mlflow/{path}"))
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let (status, body) = self.send(request).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        self.raw(method, path, "application/json", &body.to_string()).await
    }

    pub async fn get(&self, path_and_query: &str) -> (StatusCode, Value) {
        let request = Request::builder().uri(format!("/api/2.0/mlflow/{path_and_query}")).body(Body::empty()).unwrap();
        let (status, body) = self.send(request).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// A POST that must be done.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, body.clone()).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}: {answer}");
        answer
    }

    /// A GET that must be done.
    pub async fn got(&self, path_and_query: &str) -> Value {
        let (status, answer) = self.get(path_and_query).await;
        assert_eq!(status, StatusCode::OK, "{path_and_query}: {answer}");
        answer
    }

    /// A POST that must be refused in these words.
    pub async fn refused(&self, path: &str, body: Value, status: u16, code: &str, message: &str) {
        let (got, answer) = self.call(Method::POST, path, body.clone()).await;
        check(&format!("{path} {body}"), (got, &answer), status, code, message);
    }

    /// A GET that must be refused in these words.
    pub async fn get_refused(&self, path_and_query: &str, status: u16, code: &str, message: &str) {
        let (got, answer) = self.get(path_and_query).await;
        check(path_and_query, (got, &answer), status, code, message);
    }

    pub async fn experiment(&self, name: &str) -> String {
        self.post("experiments/create", json!({"name": name})).await["experiment_id"].as_str().unwrap().to_owned()
    }

    /// A run in a new experiment: the ids of both.
    pub async fn run(&self) -> (String, String) {
        let experiment = self.experiment("tests").await;
        let run = self.post("runs/create", json!({"experiment_id": experiment, "start_time": 1})).await;
        (experiment, run["run"]["info"]["run_id"].as_str().unwrap().to_owned())
    }
}

pub fn check(request: &str, (got, answer): (StatusCode, &Value), status: u16, code: &str, message: &str) {
    assert_eq!(got.as_u16(), status, "{request}: {answer}");
    assert_eq!(answer["error_code"], code, "{request}");
    assert_eq!(answer["message"].as_str().unwrap_or_default(), message, "{request}");
    assert!(answer["sqlstate"].is_string() && answer["error_class"].is_string());
}

pub const INVALID: &str = "INVALID_PARAMETER_VALUE";
pub const MISSING: &str = "RESOURCE_DOES_NOT_EXIST";

/// What follows where a parameter is missing or mistyped.
pub fn see_docs(message: &str) -> String {
    format!("{message} See the API docs for more information about request parameters.")
}
