//! Artifacts by their run.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use lw_core::{Ctx, RunId};
use lw_tracking::{ArtifactOwner, ArtifactPlace, Run};
use serde_json::{Value, json};

use super::download::send;
use super::path::{decoded, folder, joined};
use super::upload::keep;
use super::{answer, entries, is_directory, no_artifact, no_run, refused, refused_run};
use crate::refusal::{Answer, ErrorCode, Refusal};
use crate::{Face, Message};

const MAX_UPLOAD_BYTES: usize = 10 << 20;

/// Whose file a query asks for. Old clients say `run_uuid`.
pub(super) type Pairs = Query<std::collections::HashMap<String, String>>;

/// Paths below the run.
pub(crate) async fn list(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let id = crate::runs::run_id_text(&fields)?;
    let path = folder(fields.text("path")?.unwrap_or_default())?;
    let run = run(&face, id).await?;
    let found = face.tracking().artifact_folder(&ArtifactOwner::from(&run.id), &path).await.map_err(refused)?;
    let files = entries(&found.unwrap_or_default(), str::to_owned);
    Ok(answer([("files", files), ("root_uri", json!(run.artifact_uri))]))
}

/// What MLflow's console downloads.
pub(super) async fn get(State(face): State<Face>, method: Method, headers: HeaderMap, pairs: Pairs) -> Answer<Response> {
    let path = decoded(required(&pairs, "path")?)?;
    let run = run(&face, run_named(&pairs).unwrap_or_default()).await?;
    let shown = joined(run.artifact_root().unwrap_or_default(), &path);
    file(&face, &method, &headers, &ArtifactPlace { owner: ArtifactOwner::from(&run.id), path }, &shown).await
}

/// Answers with a file, which refusals call `shown`.
pub(super) async fn file(
    face: &Face,
    method: &Method,
    headers: &HeaderMap,
    place: &ArtifactPlace,
    shown: &str,
) -> Answer<Response> {
    let ArtifactPlace { owner, path } = place;
    if let Some(artifact) = face.tracking().artifact(owner, path).await.map_err(refused)? {
        return send(face, method, headers, &artifact).await;
    }
    match face.tracking().artifact_folder(owner, path).await.map_err(refused)? {
        Some(_) => Err(Refusal::invalid(is_directory(shown))),
        None => Err(no_artifact(shown)),
    }
}

/// What MLflow's console sends: small files, below a run.
pub(super) async fn upload(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    headers: HeaderMap,
    pairs: Pairs,
    body: Body,
) -> Answer<Response> {
    let id = run_named(&pairs).ok_or_else(|| Refusal::invalid("Request must specify run_id or run_uuid."))?;
    let path = pairs.get("path").filter(|path| !path.is_empty());
    let path = decoded(path.ok_or_else(|| Refusal::invalid("Request must specify path."))?)?;
    let too_large = || Refusal::invalid("Artifact size is too large. Max size is 10MB.");
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|n_bytes| n_bytes > MAX_UPLOAD_BYTES) {
        return Err(too_large());
    }
    let data = axum::body::to_bytes(body, MAX_UPLOAD_BYTES).await.map_err(|_| too_large())?;
    if data.is_empty() {
        return Err(Refusal::invalid("Request must specify data."));
    }
    let run = run(&face, id).await?;
    let place = ArtifactPlace { owner: ArtifactOwner::from(&run.id), path };
    keep(&face, &ctx, &place, Body::from(data)).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], ()).into_response())
}

pub(super) async fn run(face: &Face, id: &str) -> Answer<Run> {
    // An id of another form is the id of no run.
    let run = RunId::parse(id).map_err(|_| no_run(id))?;
    Ok(face.tracking().run(&run).await.map_err(|error| refused_run(id, error))?.run)
}

fn run_named(pairs: &Pairs) -> Option<&str> {
    let named = |name| pairs.get(name).map(String::as_str).filter(|id| !id.is_empty());
    named("run_id").or_else(|| named("run_uuid"))
}

pub(super) fn required<'a>(pairs: &'a Pairs, name: &str) -> Answer<&'a str> {
    let missing = || Refusal::new(ErrorCode::BadRequest, format!("Request must include the \"{name}\" query parameter."));
    pairs.get(name).map(String::as_str).ok_or_else(missing)
}
