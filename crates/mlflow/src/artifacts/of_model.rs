//! Artifacts by their logged model, and by their version of a registered model.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use lw_core::ModelName;
use lw_tracking::{Artifact, ArtifactOwner, ArtifactPlace, LoggedModel, LoggedModelId};
use serde_json::{Value, json};

use super::download::send;
use super::of_run::{Pairs, file, required};
use super::path::{decoded, folder, joined};
use super::{answer, entries, no_artifact, refused};
use crate::refusal::{Answer, ErrorCode, Refusal};
use crate::registry_answer::{self, About};
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
    let shown = joined(model.artifact_root().unwrap_or_default(), &path);
    file(&face, &method, &headers, &ArtifactPlace { owner: ArtifactOwner::from(&model.id), path }, &shown).await
}

async fn logged_model(face: &Face, id: &str) -> Answer<LoggedModel> {
    let missing = || {
        let shown: String = id.chars().take(80).collect();
        Refusal::missing(format!("Logged model with ID '{shown}' not found."))
    };
    let id = LoggedModelId::parse(id).map_err(|_| missing())?;
    Ok(face.tracking().logged_model(&id).await?.model)
}

/// The files of a version lie where its run or logged model put them. Those of a version that a pipeline registered go by their roles,
/// such as `model`.
pub(super) async fn get_of_version(
    State(face): State<Face>,
    method: Method,
    headers: HeaderMap,
    pairs: Pairs,
) -> Answer<Response> {
    let path = decoded(required(&pairs, "path")?)?;
    lw_tracking::check_artifact_path(&path).map_err(refused)?;
    let given = |name| pairs.get(name).map(String::as_str).unwrap_or_default();
    let (name, version) = (ModelName::parse(given("name"))?, registry_answer::number(given("version"))?);
    let found = face.registry().version(&name, registry_answer::existing(&name, version)?).await;
    let found = found.map_err(|error| About::version(&name, version).refusal(error))?;
    if let Some(digest) = found.artifacts.get(&path).copied() {
        let size_bytes = face.artifacts().size(&digest).await?;
        return send(&face, &method, &headers, &Artifact { path, digest, size_bytes, logged_at: found.registered_at }).await;
    }
    let origin = &found.origin;
    let uri = if origin.location.is_empty() { &origin.source } else { &origin.location };
    // What lies elsewhere, clients fetch there.
    let Some(place) = face.tracking().artifact_place_of(uri).await.map_err(refused)? else { return Err(no_artifact(&path)) };
    let shown = joined(uri.strip_prefix("mlflow-artifacts:/").unwrap_or(&place.path), &path);
    let place = ArtifactPlace { path: joined(&place.path, &path), ..place };
    file(&face, &method, &headers, &place, &shown).await
}
