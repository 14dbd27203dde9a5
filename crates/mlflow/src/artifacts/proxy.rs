//! The proxy: one tree of files that clients know as `mlflow-artifacts:/`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use lw_core::Ctx;
use serde_json::{Value, json};

use super::download::send;
use super::path::{after, folder, name};
use super::upload::keep;
use super::{answer, detail, entries, is_directory, no_artifact, refused};
use crate::refusal::Answer;
use crate::{Face, Message};

const MARKER: &str = "/mlflow-artifacts/artifacts/";

/// Names without the folder before them; nothing for a file and for a folder that is not there.
pub(super) async fn list(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let path = folder(message.fields().text("path")?.unwrap_or_default())?;
    let place = face.tracking().artifact_place(&path).await.map_err(refused)?;
    let found = face.tracking().artifact_folder(&place.owner, &place.path).await.map_err(refused)?;
    Ok(answer([("files", entries(&found.unwrap_or_default(), |path| name(path).to_owned()))]))
}

pub(super) async fn get(State(face): State<Face>, method: Method, uri: Uri, headers: HeaderMap) -> Answer<Response> {
    let path = after(&uri, MARKER)?;
    let place = face.tracking().artifact_place(path.trim_end_matches('/')).await.map_err(refused)?;
    let is_folder = place.path.is_empty();
    let artifact = if is_folder { None } else { face.tracking().artifact(&place.owner, &place.path).await.map_err(refused)? };
    if let Some(artifact) = artifact {
        return send(&face, &method, &headers, &artifact).await;
    }
    match face.tracking().artifact_folder(&place.owner, &place.path).await.map_err(refused)? {
        Some(_) => Ok(detail(StatusCode::BAD_REQUEST, &is_directory(&path))),
        None => Err(no_artifact(&path)),
    }
}

pub(super) async fn put(State(face): State<Face>, Extension(ctx): Extension<Ctx>, uri: Uri, body: Body) -> Answer<Response> {
    let path = after(&uri, MARKER)?;
    if path.ends_with('/') {
        return Ok(detail(StatusCode::BAD_REQUEST, "Artifact path must include a filename (cannot end with '/')."));
    }
    let place = face.tracking().artifact_place(&path).await.map_err(refused)?;
    keep(&face, &ctx, &place, body).await?;
    Ok(StatusCode::OK.into_response())
}

/// Removes a file, or a folder with all that is in it. What is not there is removed already.
pub(super) async fn delete(State(face): State<Face>, Extension(ctx): Extension<Ctx>, uri: Uri) -> Answer<Json<Value>> {
    let path = after(&uri, MARKER)?;
    let place = face.tracking().artifact_place(path.trim_end_matches('/')).await.map_err(refused)?;
    face.tracking().remove_artifacts(&ctx, &place.owner, &place.path).await.map_err(refused)?;
    Ok(Json(json!({})))
}
