//! Artifacts: the proxy through which clients send and fetch files, and the same files by run, logged model and model version.
//!
//! A file passes piece by piece in both directions. It is visible when all of it is there, and its digest names it.

pub(crate) mod download;
mod media;
mod multipart;
mod of_model;
pub(crate) mod of_run;
mod path;
mod proxy;
mod upload;

use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::{Json, http::StatusCode};
use lw_core::Error;
use lw_governance::Action;
use lw_tracking::{ARTIFACT_PATH_TAKEN, ArtifactFolder, BAD_ARTIFACT_PATH, RUN_NOT_FOUND};
use serde_json::{Map, Value, json};

use crate::refusal::{ErrorCode, Refusal};
use crate::route::{Route, both};

const FILES_OF_MODEL: &str = "/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files";

pub(crate) fn routes() -> Vec<Route> {
    let proxied = [
        both!(GET "2.0/mlflow-artifacts/artifacts", Read, "artifact", proxy::list),
        both!(GET "2.0/mlflow-artifacts/artifacts/{*path}", Read, "artifact", proxy::get).map(Route::streaming),
        both!(PUT "2.0/mlflow-artifacts/artifacts/{*path}", Write, "artifact", proxy::put).map(Route::streaming),
        both!(DELETE "2.0/mlflow-artifacts/artifacts/{*path}", Write, "artifact", proxy::delete),
        both!(POST "2.0/mlflow-artifacts/mpu/create/{*path}", Write, "artifact", multipart::create),
        both!(POST "2.0/mlflow-artifacts/mpu/complete/{*path}", Write, "artifact", multipart::complete),
        both!(POST "2.0/mlflow-artifacts/mpu/abort/{*path}", Write, "artifact", multipart::abort),
        both!(GET "2.0/mlflow-artifacts/presigned/{*path}", Read, "artifact", multipart::presigned),
        both!(GET "2.0/mlflow/artifacts/list", Read, "artifact", of_run::list),
        both!(POST "2.0/mlflow/artifacts/presigned-download-url", Read, "artifact", multipart::presigned_download),
        both!(POST "2.0/mlflow/artifacts/presigned-upload-url", Write, "artifact", multipart::presigned_upload),
        both!(GET "2.0/mlflow/logged-models/{model_id}/artifacts/directories", Read, "artifact", of_model::list),
    ];
    let mut routes: Vec<Route> = proxied.into_iter().flatten().collect();
    routes.extend([
        Route::new(Method::POST, "/ajax-api/2.0/mlflow/upload-artifact", Action::Write, "artifact", of_run::upload),
        Route::new(Method::GET, FILES_OF_MODEL, Action::Read, "artifact", of_model::get).streaming(),
        Route::new(Method::GET, "/get-artifact", Action::Read, "artifact", of_run::get).streaming(),
        Route::new(Method::GET, "/model-versions/get-artifact", Action::Read, "artifact", of_model::get_of_version).streaming(),
    ]);
    routes
}

/// What MLflow's server says where the domain says it in other words.
fn refused(error: Error) -> Refusal {
    if error.is(BAD_ARTIFACT_PATH) {
        return Refusal::invalid("Invalid path");
    }
    if error.is(ARTIFACT_PATH_TAKEN) {
        return Refusal::new(ErrorCode::ResourceConflict, error.message());
    }
    Refusal::from(error)
}

/// The domain's error about a run, in MLflow's words.
fn refused_run(run: &str, error: Error) -> Refusal {
    if error.is(RUN_NOT_FOUND) { no_run(run) } else { refused(error) }
}

fn no_run(run: &str) -> Refusal {
    let shown: String = run.chars().take(80).collect();
    Refusal::missing(format!("Run with id={shown} not found"))
}

fn no_artifact(path: &str) -> Refusal {
    Refusal::missing(format!("No such artifact: '{path}'"))
}

fn is_directory(path: &str) -> String {
    format!("Artifact path refers to a directory, not a file: '{path}'")
}

/// An error of the proxy itself, which MLflow's server words in another form than all others.
fn detail(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "detail": message }))).into_response()
}

/// The entries of a folder in the order of their names, each with the path that `shown` makes of its own.
fn entries(folder: &ArtifactFolder, shown: impl Fn(&str) -> String) -> Value {
    let files = folder.files.iter().map(|file| (file.path.as_str(), Some(file.size_bytes)));
    let mut all: Vec<_> = files.chain(folder.folders.iter().map(|path| (path.as_str(), None))).collect();
    all.sort_unstable();
    let entry = |(path, size): &(&str, Option<u64>)| match size {
        Some(size_bytes) => json!({"path": shown(path), "is_dir": false, "file_size": size_bytes}),
        None => json!({"path": shown(path), "is_dir": true}),
    };
    all.iter().map(entry).collect()
}

/// An answer without its empty lists, which MLflow leaves out.
fn answer(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Json<Value> {
    let is_set = |value: &Value| !value.as_array().is_some_and(Vec::is_empty);
    let fields = fields.into_iter().filter(|(_, value)| is_set(value));
    Json(Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()))
}
