//! A server of its own for each test, without a network.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::{Extension, Router};
use lw_core::{Actor, Ctx};
use lw_mlflow::{Face, routes};
use lw_store::testing::TestDirectory;
use lw_store::{Artifacts, MetadataUrl, Store};
use lw_tracking::{Circumstances, NewRun, Run, Tracking};
use serde_json::Value;
use tower::ServiceExt;

pub struct World {
    pub directory: TestDirectory,
    pub artifacts: Artifacts,
    pub store: Store,
    pub tracking: Tracking,
    pub run: Run,
    pub ctx: Ctx,
    router: Router,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub async fn new() -> Self {
        let directory = TestDirectory::make();
        let url = format!("file://{}", directory.path().join("artifacts").display());
        let artifacts = Artifacts::open(&url).unwrap();
        Self::with(directory, artifacts).await
    }

    pub async fn with(directory: TestDirectory, artifacts: Artifacts) -> Self {
        let store = Store::open(&MetadataUrl::sqlite(directory.path().join("metadata.db"))).unwrap();
        let (ctx, tracking) = (Ctx::real(Actor::new("ana"), "request-1"), Tracking::new(store.clone()));
        let experiment = tracking.ensure_experiment(&ctx, "flights").await.unwrap();
        let run = tracking.start_run(&ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
        let face = Face::new(store.clone(), artifacts.clone());
        let router = routes().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
        let router = router.layer(Extension(ctx.clone())).with_state(face);
        Self { directory, artifacts, store, tracking, run, ctx, router }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The response as it streams.
    pub async fn open(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn ask(&self, method: Method, uri: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::builder().method(method).uri(uri).body(body.into()).unwrap()).await
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.ask(Method::GET, uri, Body::empty()).await
    }

    pub async fn get_with(&self, uri: &str, header: &str, value: &str) -> Answer {
        self.send(Request::get(uri).header(header, value).body(Body::empty()).unwrap()).await
    }

    pub async fn put(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.ask(Method::PUT, &format!("{PROXY}/{path}"), body).await
    }

    pub async fn post(&self, uri: &str, message: Value) -> Answer {
        let request = Request::post(uri).header("content-type", "application/json").body(Body::from(message.to_string()));
        self.send(request.unwrap()).await
    }

    /// `7/RUN/artifacts`.
    pub fn root(&self) -> String {
        self.run.artifact_root().unwrap().to_owned()
    }
}

pub const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";
pub const API: &str = "/api/2.0/mlflow";
