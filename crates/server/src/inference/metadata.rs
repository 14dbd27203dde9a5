//! Health, metadata and the repository calls that clients make before they infer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use lw_core::{Error, Result};
use lw_serving::failures::UNKNOWN_ENDPOINT;
use lw_serving::{Endpoint, Output, Role};
use serde_json::{Value, json};

use super::Answer;
use super::tensor::Datatype;
use crate::app::App;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v2/health/live", Action::Probe, "process", live).summary("Whether the process lives (OIP)"),
        Route::get("/v2/health/ready", Action::Probe, "process", ready).summary("Whether the process answers (OIP)"),
        Route::get("/v2", Action::Connect, "process", server_metadata).summary("Server metadata (OIP)"),
        Route::get("/v2/", Action::Connect, "process", server_metadata).summary("Server metadata (OIP)"),
        Route::get("/v2/models/{model}", Action::Connect, "endpoint", model).summary("Model metadata (OIP)"),
        Route::get("/v2/models/{model}/versions/{version}", Action::Connect, "endpoint", model_version)
            .summary("Model metadata (OIP)"),
        Route::get("/v2/models/{model}/ready", Action::Connect, "endpoint", model_ready).summary("Whether a model answers (OIP)"),
        Route::get("/v2/models/{model}/versions/{version}/ready", Action::Connect, "endpoint", version_ready)
            .summary("Whether a version answers (OIP)"),
        Route::get("/v2/models/{model}/config", Action::Connect, "endpoint", config).summary("Model configuration (Triton)"),
        Route::get("/v2/models/{model}/stats", Action::Read, "endpoint", stats).summary("How a model has fared (Triton)"),
        Route::post("/v2/repository/index", Action::Connect, "endpoint", index).summary("Every model (Triton)"),
    ]
}

/// Some clients read a body here and some forbid one that is not JSON.
async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

/// Not ready while an endpoint that should answer does not. Which one it is stands in the status: nobody proves who he is here.
async fn ready(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let is_ready = app.endpoints().unloaded().iter().all(|unloaded| unloaded.answering.is_some());
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": is_ready })))
}

async fn server_metadata() -> Json<Value> {
    Json(json!({
        "name": "loopwright",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": ["binary_tensor_data", "model_repository", "model_configuration", "statistics"],
    }))
}

async fn model(State(app): State<App>, Path(model): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(metadata(&*endpoint(&app, &model, None)?)))
}

async fn model_version(State(app): State<App>, Path((model, version)): Path<(String, String)>) -> Answer<Json<Value>> {
    Ok(Json(metadata(&*endpoint(&app, &model, Some(&version))?)))
}

async fn model_ready(State(app): State<App>, Path(model): Path<String>) -> Answer<Json<Value>> {
    let endpoint = endpoint(&app, &model, None)?;
    Ok(Json(json!({"name": endpoint.name(), "ready": true})))
}

async fn version_ready(State(app): State<App>, Path((model, version)): Path<(String, String)>) -> Answer<Json<Value>> {
    let endpoint = endpoint(&app, &model, Some(&version))?;
    Ok(Json(json!({"name": endpoint.name(), "ready": true})))
}

async fn config(State(app): State<App>, Path(model): Path<String>) -> Answer<Json<Value>> {
    let endpoint = endpoint(&app, &model, None)?;
    let metadata = metadata(&endpoint);
    let typed = |tensors: &Value| -> Vec<Value> {
        let tensor = |tensor: &Value| {
            let datatype = tensor["datatype"].as_str().unwrap_or_default();
            let data_type = if datatype == "BYTES" { "TYPE_STRING".to_owned() } else { format!("TYPE_{datatype}") };
            json!({"name": tensor["name"], "data_type": data_type, "dims": [1]})
        };
        tensors.as_array().into_iter().flatten().map(tensor).collect()
    };
    Ok(Json(json!({
        "name": metadata["name"],
        "platform": metadata["platform"],
        "backend": "loopwright",
        "max_batch_size": lw_serving::MAX_ROWS,
        "version_policy": {"latest": {"num_versions": 1}},
        "input": typed(&metadata["inputs"]),
        "output": typed(&metadata["outputs"]),
    })))
}

async fn stats(State(app): State<App>, Path(model): Path<String>) -> Answer<Json<Value>> {
    let endpoint = endpoint(&app, &model, None)?;
    let stats = endpoint.tallies().into_iter().map(|tally| {
        json!({
            "name": endpoint.name(),
            "version": tally.served.version.to_string(),
            "inference_count": tally.n_answered,
            "execution_count": tally.n_answered,
            "inference_stats": {"success": {"count": tally.n_answered, "ns": 0}, "fail": {"count": tally.n_failed, "ns": 0}},
        })
    });
    Ok(Json(json!({"model_stats": stats.collect::<Vec<_>>()})))
}

/// The body, which may be empty, only filters by readiness; everything here is ready.
async fn index(State(app): State<App>) -> Json<Value> {
    let models = app.endpoints().endpoints().into_iter().flat_map(|endpoint| {
        let name = endpoint.name().clone();
        let answering: Vec<Value> = answering_versions(&endpoint)
            .into_iter()
            .map(|version| json!({"name": name, "version": version, "state": "READY", "reason": ""}))
            .collect();
        answering
    });
    Json(models.collect())
}

/// The endpoint of this name, if the version answers there.
pub fn endpoint(app: &App, model: &str, version: Option<&str>) -> Result<Arc<Endpoint>> {
    let endpoint = app.endpoints().endpoint(model)?;
    let Some(version) = version else {
        return Ok(endpoint);
    };
    let versions = answering_versions(&endpoint);
    if versions.iter().any(|known| known == version) {
        return Ok(endpoint);
    }
    let shown: String = version.chars().take(20).collect();
    Err(not_answering(&shown, model, &versions))
}

fn not_answering(version: &str, model: &str, versions: &[String]) -> Error {
    UNKNOWN_ENDPOINT
        .error(format!("version {version} of `{model}` does not answer"))
        .hint(format!("answering: {}; leave the version out to be answered by whichever is deployed", versions.join(", ")))
}

/// Champion and canary. Shadows answer nobody.
fn answering_versions(endpoint: &Endpoint) -> Vec<String> {
    let routes = endpoint.routes();
    let parts = routes.deployment().routing.parts().filter(|(role, _)| *role != Role::Shadow);
    parts.map(|(_, served)| served.version.to_string()).collect()
}

fn metadata(endpoint: &Endpoint) -> Value {
    let routes = endpoint.routes();
    let request = routes.request();
    let tensor = |name: &str, datatype: Datatype| json!({"name": name, "datatype": datatype.name(), "shape": [-1]});
    let fields = request.fields().iter().map(|field| {
        let mut value = tensor(&field.name, Datatype::of(field.data_type));
        value["parameters"] = json!({"type": field.data_type, "required": field.required});
        value
    });
    let id = request.id().filter(|id| request.position(id).is_none()).map(|id| tensor(id, Datatype::Bytes));
    let champion = routes.champion();
    let predicted = matches!(champion.bundle().output, Output::Probability { .. }).then(|| tensor("predicted", Datatype::Bool));
    let outputs = [tensor("score", Datatype::Fp64)].into_iter().chain(predicted);
    json!({
        "name": endpoint.name(),
        "versions": answering_versions(endpoint),
        "platform": format!("loopwright_{}", champion.runtime()),
        "inputs": fields.chain(id).collect::<Vec<_>>(),
        "outputs": outputs.chain([tensor("id", Datatype::Bytes), tensor("version", Datatype::Int64)]).collect::<Vec<_>>(),
    })
}
