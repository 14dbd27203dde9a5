//! The process itself: whether it lives, what it measures.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use lw_core::Error;
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/health", Action::Probe, "process", health).summary("Whether the process lives"),
        Route::get("/metrics", Action::Read, "process", metrics).summary("Metrics for Prometheus"),
        Route::get("/api/v1/status", Action::Read, "process", status).summary("What runs in this process"),
    ]
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn metrics(State(app): State<App>) -> Answer<Response> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, app.metrics())
        .map_err(|error| Error::bug("metrics cannot be written").cause(error))?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

async fn status(State(app): State<App>) -> Answer<Json<Value>> {
    let newest = app.store().entries(lw_store::EntryFilter::all().newest_first().limit(1)).await?;
    let endpoints = app.endpoints().endpoints();
    let champions: Vec<String> = endpoints.iter().map(|endpoint| endpoint.routes().champion().served().to_string()).collect();
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "time": app.platform().clock.now(),
        "endpoints": endpoints.len(),
        "champions": champions,
        "ledger_entries": newest.first().map_or(0, |entry| entry.seq),
        "last_change": newest.first().map(|entry| entry.at),
    })))
}
