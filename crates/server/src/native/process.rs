//! The process itself: whether it lives, what it measures.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use lw_core::{Error, Span};
use lw_monitoring::{Monitoring, freshness_alerts};
use lw_project::DataFreshness;
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
    // The end mark of the format stays the last line.
    let end = text.rfind("# EOF").unwrap_or(text.len());
    text.insert_str(end, &gauges(&app).await?);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// The gauges that are read from the workspace when somebody asks: alerts, and how old data are.
async fn gauges(app: &App) -> Answer<String> {
    let Ok(workspace) = app.workspace() else {
        return Ok(String::new());
    };
    let seconds = |span: Span| span.micros() as f64 / 1e6;
    let fresh: Vec<(String, DataFreshness)> = workspace
        .freshness()
        .await?
        .into_iter()
        .map(|data| (format!("subject=\"{}/{}\"", data.promise.kind.name(), data.promise.name), data))
        .collect();
    let alerts = Monitoring::new(app.store().clone()).alerts(None).await?;
    let of_models = alerts.iter().map(|alert| {
        let labels = format!("subject=\"model/{}\",monitor=\"{}\"", alert.model, alert.monitor);
        (labels, f64::from(u8::from(alert.state.is_firing())))
    });
    let of_data = fresh
        .iter()
        .map(|(subject, data)| (format!("{subject},monitor=\"freshness\""), f64::from(u8::from(data.alert == "firing"))));
    let ages = fresh.iter().filter_map(|(subject, data)| Some((subject.clone(), seconds(data.age?))));
    let limits = fresh.iter().map(|(subject, data)| (subject.clone(), seconds(data.promise.limit)));
    let mut text = gauge("alert_firing", "Whether the alert of a monitor fires", of_models.chain(of_data));
    text += &gauge("data_age_seconds", "The age of the newest event of a table or feature view", ages);
    text += &gauge("data_age_limit_seconds", "How old the newest event of a table or feature view may be", limits);
    Ok(text)
}

/// A family of gauges in the format of OpenMetrics. Names in labels are plain words that need no escapes.
fn gauge(name: &str, help: &str, samples: impl Iterator<Item = (String, f64)>) -> String {
    let samples = samples.map(|(labels, value)| format!("loopwright_{name}{{{labels}}} {value}\n"));
    format!("# HELP loopwright_{name} {help}.\n# TYPE loopwright_{name} gauge\n{}", samples.collect::<String>())
}

/// What fires, in words: `model/churn skew`, `table/orders freshness`.
async fn firing(app: &App) -> Answer<Vec<String>> {
    let models = Monitoring::new(app.store().clone()).alerts(None).await?;
    let models =
        models.iter().filter(|alert| alert.state.is_firing()).map(|alert| format!("model/{} {}", alert.model, alert.monitor));
    let data = freshness_alerts(app.store()).await?;
    let data = data.iter().filter(|alert| alert.state.is_firing());
    let data = data.map(|alert| format!("{}/{} freshness", alert.promise.kind.name(), alert.promise.name));
    Ok(models.chain(data).collect())
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
        "not_loaded": app.endpoints().unloaded().iter().map(|unloaded| unloaded.error().to_string()).collect::<Vec<_>>(),
        "firing": firing(&app).await?,
        "ledger_entries": newest.first().map_or(0, |entry| entry.seq),
        "last_change": newest.first().map(|entry| entry.at),
    })))
}
