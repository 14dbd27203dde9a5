//! Uploads in parts and signed addresses, with which clients go past this server to the object store.
//!
//! Where files lie in a directory there is nothing to go to; then these routes answer as MLflow's do for such a store, and clients send
//! and fetch files through the proxy.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::Uri;
use lw_core::Ctx;
use lw_store::SentPart;
use lw_tracking::ArtifactPlace;
use serde_json::{Value, json};

use super::of_run::run;
use super::path::{after, decoded, invalid, joined};
use super::{no_artifact, refused};
use crate::refusal::{Answer, ErrorCode, Refusal};
use crate::{Face, Message};

/// How long a signed address holds; the protocol's default.
const SIGNED_FOR: Duration = Duration::from_secs(300);
const MAX_SIGNED_SECONDS: i64 = 604_800;
/// How long the addresses of parts hold, as where MLflow's server signs them. The last part of a large file goes late.
const PARTS_SIGNED_FOR: Duration = Duration::from_secs(3600);

/// Begins an upload: for each part an address that takes it.
pub(super) async fn create(State(face): State<Face>, uri: Uri, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    fields.required_text("path")?;
    let n_parts = fields.integer("num_parts")?.unwrap_or(1);
    let place = place(&face, &uri, "/mpu/create/", &message).await?;
    // What would be refused at the end is refused before it is sent.
    face.tracking().may_log_artifact(&place.owner, &place.path).await.map_err(refused)?;
    let n_parts = u32::try_from(n_parts).unwrap_or_default();
    let upload = face.artifacts().begin_parts(n_parts, PARTS_SIGNED_FOR).await?.ok_or_else(unsupported)?;
    let credential = |(url, number): (String, usize)| json!({"url": url, "part_number": number, "headers": {}});
    let credentials: Vec<Value> = upload.urls.into_iter().zip(1..).map(credential).collect();
    Ok(Json(json!({"upload_id": upload.id, "credentials": credentials})))
}

/// Joins the parts. The file is known by its digest afterwards, like every other, for which it is read once.
pub(super) async fn complete(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    uri: Uri,
    message: Message,
) -> Answer<Json<Value>> {
    let fields = message.fields();
    fields.required_text("path")?;
    let upload = fields.text("upload_id")?.unwrap_or_default();
    let parts = fields.list("parts")?;
    if parts.is_empty() {
        return Err(fields.missing("parts"));
    }
    let place = place(&face, &uri, "/mpu/complete/", &message).await?;
    let sent = parts.iter().map(|part| {
        let number = part.required_integer("part_number")?;
        let number = u32::try_from(number).map_err(|_| part.mistyped("part_number", &number.into()))?;
        Ok(SentPart { number, etag: part.text("etag")?.unwrap_or_default().to_owned() })
    });
    let sent = sent.collect::<Answer<Vec<_>>>()?;
    face.tracking().may_log_artifact(&place.owner, &place.path).await.map_err(refused)?;
    let stored = face.artifacts().complete_parts(upload, sent).await?;
    let ArtifactPlace { owner, path } = &place;
    face.tracking().log_artifact(&ctx, owner, path, stored.digest, stored.size_bytes).await.map_err(refused)?;
    // Last, so that whoever asks again after an answer that was lost finds the upload still there.
    face.artifacts().forget_parts(upload).await?;
    Ok(Json(json!({})))
}

pub(super) async fn abort(State(face): State<Face>, uri: Uri, message: Message) -> Answer<Json<Value>> {
    message.fields().required_text("path")?;
    let upload = message.fields().text("upload_id")?.unwrap_or_default();
    place(&face, &uri, "/mpu/abort/", &message).await?;
    face.artifacts().forget_parts(upload).await?;
    Ok(Json(json!({})))
}

/// Where the file of an upload belongs: the address names the folder, and the name is that of the file that the client reads. Refuses
/// what is wrong before what is missing.
async fn place(face: &Face, uri: &Uri, marker: &str, message: &Message) -> Answer<ArtifactPlace> {
    let folder = after(uri, marker)?;
    let folder = folder.trim_end_matches('/');
    lw_tracking::check_artifact_path(folder).map_err(refused)?;
    let path = message.fields().required_text("path")?;
    let name = decoded(path.rsplit(['/', '\\']).next().unwrap_or_default())?;
    if matches!(name.as_str(), "" | "." | "..") {
        return Err(invalid());
    }
    if !face.artifacts().is_reached_directly() {
        return Err(unsupported());
    }
    let place = face.tracking().artifact_place(&joined(folder, &name)).await.map_err(refused)?;
    if place.path.is_empty() { Err(invalid()) } else { Ok(place) }
}

/// What tells clients to send the file through the proxy.
fn unsupported() -> Refusal {
    Refusal::new(ErrorCode::NotImplemented, "Multipart upload is not supported for the current artifact repository")
}

/// An address in the object store from which the file can be read for five minutes.
pub(super) async fn presigned(State(face): State<Face>, uri: Uri) -> Answer<Json<Value>> {
    let path = after(&uri, "/mlflow-artifacts/presigned/")?;
    let place = face.tracking().artifact_place(&path).await.map_err(refused)?;
    let artifact = match place.path.as_str() {
        "" => None,
        below => face.tracking().artifact(&place.owner, below).await.map_err(refused)?,
    };
    let digest = artifact.as_ref().map_or_else(|| lw_core::Digest::of(b""), |artifact| artifact.digest);
    let Some(url) = face.artifacts().signed_url(&digest, SIGNED_FOR).await? else {
        return Err(Refusal::new(
            ErrorCode::NotImplemented,
            "Multipart download is not supported for the current artifact repository",
        ));
    };
    let artifact = artifact.ok_or_else(|| no_artifact(&path))?;
    Ok(Json(json!({"url": url, "headers": {}, "file_size": artifact.size_bytes})))
}

/// For runs whose artifacts clients keep in an object store themselves. Those of this server are never there.
pub(super) async fn presigned_download(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let id = fields.required_text("run_id")?;
    decoded(fields.required_text("path")?)?;
    let seconds = fields.integer("expiration")?.unwrap_or(300);
    if !(1..=MAX_SIGNED_SECONDS).contains(&seconds) {
        return Err(Refusal::invalid(format!("expiration must be between 1 and 604800 seconds (got {seconds}).")));
    }
    run(&face, id).await?;
    Err(proxied("download is not supported for runs with", "a run with"))
}

pub(super) async fn presigned_upload(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let is_set = |text: &&str| !text.is_empty();
    let (run_id, model_id) = (fields.text("run_id")?.filter(is_set), fields.text("model_id")?.filter(is_set));
    let path = fields.required_text("path")?;
    fields.integer("expiration")?;
    if run_id.is_some() == model_id.is_some() {
        return Err(Refusal::invalid("Exactly one of run_id and model_id must be provided."));
    }
    lw_tracking::check_artifact_path(&decoded(path)?).map_err(refused)?;
    if let Some(id) = run_id {
        run(&face, id).await?;
    }
    Err(proxied("upload is not supported for", ""))
}

fn proxied(what: &str, whose: &str) -> Refusal {
    let wanted = if whose.is_empty() { "a".to_owned() } else { format!("{whose} a") };
    Refusal::invalid(format!(
        "Presigned {what} proxied artifact storage (artifact URI scheme: mlflow-artifacts). This endpoint requires {wanted} direct cloud \
         storage artifact URI."
    ))
}
