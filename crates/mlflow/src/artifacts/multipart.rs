//! Uploads in parts and signed addresses, with which clients go past this server to the object store.
//!
//! A file must pass here on its way in, because its digest names it; so uploads in parts are answered as MLflow answers them for a
//! store that has none, and clients send the file whole. On their way out files may go directly where the store can sign addresses.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use super::of_run::run;
use super::path::{after, decoded, invalid};
use super::{no_artifact, refused};
use crate::refusal::{Answer, ErrorCode, Refusal};
use crate::{Face, Message};

/// How long a signed address holds; the protocol's default.
const SIGNED_FOR: Duration = Duration::from_secs(300);
const MAX_SIGNED_SECONDS: i64 = 604_800;

pub(super) async fn create(uri: Uri, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    fields.required_text("path")?;
    fields.integer("num_parts")?;
    unsupported(&uri, "/mpu/create/", &message)
}

pub(super) async fn complete(uri: Uri, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    fields.required_text("path")?;
    fields.text("upload_id")?;
    if fields.list("parts")?.is_empty() {
        return Err(fields.missing("parts"));
    }
    unsupported(&uri, "/mpu/complete/", &message)
}

pub(super) async fn abort(uri: Uri, message: Message) -> Answer<Json<Value>> {
    message.fields().required_text("path")?;
    message.fields().text("upload_id")?;
    unsupported(&uri, "/mpu/abort/", &message)
}

/// Refuses what is wrong before what is missing.
fn unsupported(uri: &Uri, marker: &str, message: &Message) -> Answer<Json<Value>> {
    lw_tracking::check_artifact_path(after(uri, marker)?.trim_end_matches('/')).map_err(refused)?;
    let path = message.fields().required_text("path")?;
    let name = decoded(path.rsplit(['/', '\\']).next().unwrap_or_default())?;
    if matches!(name.as_str(), "" | "." | "..") {
        return Err(invalid());
    }
    Err(Refusal::new(ErrorCode::NotImplemented, "Multipart upload is not supported for the current artifact repository"))
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
