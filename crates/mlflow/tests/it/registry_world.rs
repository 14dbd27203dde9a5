//! What the tests of the registry need beside the server.

use axum::http::{Method, StatusCode};
use lw_core::{Ctx, Digest, RunId};
use lw_tracking::{ArtifactOwner, LoggedModelId, Tracking};
use serde_json::{Value, json};

use crate::world::{World, check};

impl World {
    pub async fn delete(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::DELETE, path, body).await
    }

    pub async fn delete_refused(&self, path: &str, body: Value, status: u16, code: &str, message: &str) {
        let (got, answer) = self.delete(path, body.clone()).await;
        check(&format!("DELETE {path} {body}"), (got, &answer), status, code, message);
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::PATCH, path, body.clone()).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}: {answer}");
        answer
    }

    pub async fn model(&self, name: &str) {
        self.post("registered-models/create", json!({"name": name})).await;
    }

    /// A version whose files are elsewhere.
    pub async fn version(&self, name: &str) -> Value {
        let request = json!({"name": name, "source": "s3://bucket/model"});
        self.post("model-versions/create", request).await["model_version"].clone()
    }

    /// Puts a file among the artifacts of a run or of a logged model.
    pub async fn artifact(&self, ctx: &Ctx, owner: &str, path: &str, bytes: &[u8]) -> Digest {
        let digest = self.face.artifacts().put(bytes.to_vec()).await.unwrap();
        let owner = match RunId::parse(owner) {
            Ok(run) => ArtifactOwner::Run(run),
            Err(_) => ArtifactOwner::LoggedModel(LoggedModelId::parse(owner).unwrap()),
        };
        let size_bytes = u64::try_from(bytes.len()).unwrap();
        Tracking::new(self.store.clone()).log_artifact(ctx, &owner, path, digest, size_bytes).await.unwrap();
        digest
    }
}
