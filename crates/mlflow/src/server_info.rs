//! What clients ask before they ask anything else: the version, and what the server can do.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use lw_governance::Action;
use serde_json::{Value, json};

use crate::route::{Route, both};
use crate::{Face, MLFLOW_VERSION};

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = vec![Route::new(Method::GET, "/version", Action::Probe, "server", version)];
    routes.extend(both!(GET "3.0/mlflow/server-info", Probe, "server", server_info));
    routes
}

async fn version() -> &'static str {
    MLFLOW_VERSION
}

/// Clients fall back to the plain proxy for whatever is `false` here. With an object store large files go past this server.
async fn server_info(State(face): State<Face>) -> Json<Value> {
    let has_objects = face.artifacts().is_reached_directly();
    Json(json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "trace_archival_enabled": false,
        "artifact_serving_enabled": true,
        "multipart_uploads_enabled": has_objects,
        "multipart_downloads_enabled": has_objects,
        "presigned_upload_run_id_supported": false,
        "presigned_upload_model_id_supported": false,
        "model_artifact_presigned_downloads_supported": false,
        "artifacts_presigned_only": false,
    }))
}
