//! Artifacts by their logged model, and by their version of a registered model.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use lw_core::Name;
use lw_tracking::{Artifact, ArtifactOwner, LoggedModel, LoggedModelId};
use serde_json::{Value, json};

use super::download::send;
use super::of_run::{Pairs, file, required};
use super::path::{decoded, folder};
use super::{answer, entries, no_artifact, refused};
use crate::refusal::{Answer, ErrorCode, Refusal};
use crate::{Face, Message};

/// Paths below the logged model.
pub(super) async fn list(State(face): State<Face>, Path(id): Path<String>, message: Message) -> Answer<Json<Value>> {
    let path = folder(message.fields().text("artifact_directory_path")?.unwrap_or_default())?;
    let model = logged_model(&face, &id).await?;
    let found = face.tracking().artifact_folder(&ArtifactOwner::from(&model.id), &path).await.map_err(refused)?;
    let files = entries(&found.unwrap_or_default(), str::to_owned);
    Ok(answer([("files", files), ("root_uri", json!(model.artifact_uri))]))
}

pub(super) async fn get(
    State(face): State<Face>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
    pairs: Pairs,
) -> Answer<Response> {
    let path = pairs
        .get("artifact_file_path")
        .filter(|path| !path.is_empty())
        .ok_or_else(|| Refusal::new(ErrorCode::BadRequest, "Request must include the \"artifact_file_path\" query parameter."))?;
    let path = decoded(path)?;
    let model = logged_model(&face, &id).await?;
    let root = model.artifact_root().unwrap_or_default();
    file(&face, &method, &headers, &ArtifactOwner::from(&model.id), root, &path).await
}

async fn logged_model(face: &Face, id: &str) -> Answer<LoggedModel> {
    let missing = || {
        let shown: String = id.chars().take(80).collect();
        Refusal::missing(format!("Logged model with ID '{shown}' not found."))
    };
    let id = LoggedModelId::parse(id).map_err(|_| missing())?;
    Ok(face.tracking().logged_model(&id).await?.model)
}

/// The files of a version that a pipeline registered go by their roles, such as `model`.
pub(super) async fn get_of_version(
    State(face): State<Face>,
    method: Method,
    headers: HeaderMap,
    pairs: Pairs,
) -> Answer<Response> {
    let path = decoded(required(&pairs, "path")?)?;
    lw_tracking::check_artifact_path(&path).map_err(refused)?;
    let (name, number) = (required(&pairs, "name")?, required(&pairs, "version")?);
    let missing = || Refusal::missing(format!("Model Version (name={name}, version={number}) not found"));
    let (Ok(model), Ok(version)) = (Name::parse(name), number.parse::<u64>()) else { return Err(missing()) };
    let found = face.registry().version(&model, version).await.map_err(|error| match error.kind() {
        lw_core::Kind::NotFound => missing(),
        _ => refused(error),
    })?;
    let digest = *found.artifacts.get(&path).ok_or_else(|| no_artifact(&path))?;
    let size_bytes = face.artifacts().size(&digest).await?;
    send(&face, &method, &headers, &Artifact { path, digest, size_bytes, logged_at: found.registered_at }).await
}
