//! Pipelines: those that are deployed and when they run; starting one; ingestion and materialization by hand.

use std::collections::BTreeMap;

use axum::extract::{Extension, Path, State};
use lw_core::{Ctx, Name, Result, Span};
use lw_pipelines::{Deployed, PipelineDefinition, Start};
use serde::Deserialize;
use serde_json::{Value, json};

use super::runs;
use crate::app::App;
use crate::body::{Json, Query};
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/pipelines", Action::Read, "pipeline", list)
            .summary("Deployed pipelines with their newest run and next scheduled time; ?after=NAME&limit=N"),
        Route::get("/api/v1/pipelines/{pipeline}", Action::Read, "pipeline", show)
            .summary("One pipeline with its steps and runs"),
        Route::post("/api/v1/pipelines/{pipeline}/runs", Action::Write, "pipeline", start)
            .summary("Starts a pipeline, a model's or one of the project's own; {params?: {name: text}}"),
        Route::post("/api/v1/ingestions", Action::Write, "source", ingest).summary("Ingests one source or all; {source?}"),
        Route::post("/api/v1/materializations", Action::Write, "feature_view", materialize)
            .summary("Brings one feature view or all up to date online; {view?}"),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineQuery {
    after: Option<Name>,
    limit: Option<u64>,
}

async fn list(State(app): State<App>, Query(query): Query<PipelineQuery>) -> Answer<axum::Json<Value>> {
    let pipelines = app.workspace()?.pipelines();
    let mut items = Vec::new();
    for deployed in pipelines.list(query.after.as_ref(), query.limit.unwrap_or(100)).await? {
        let definition = pipelines.definition(&deployed.pipeline).await?;
        items.push(view(&app, &deployed, &definition, 1).await?);
    }
    Ok(axum::Json(json!({ "items": items })))
}

/// A pipeline with its newest runs.
async fn view(app: &App, deployed: &Deployed, definition: &PipelineDefinition, n_runs: u64) -> Result<Value> {
    let workspace = app.workspace()?;
    let now = workspace.clock().now();
    let newest = workspace.pipelines().views(Some(&deployed.pipeline), now + Span::from_secs(1), n_runs).await?;
    let runs: Vec<Value> = newest.iter().map(|run| runs::summary(run, now)).collect();
    let kind = if definition.steps.iter().any(|step| step.kind == "release") { "model" } else { "pipeline" };
    Ok(json!({
        "pipeline": deployed.pipeline, "kind": kind, "description": definition.description, "digest": deployed.digest,
        "schedule": definition.schedule, "next_at": deployed.next_fire, "n_steps": definition.steps.len(),
        "state": newest.first().map(runs::state), "newest_run": runs.first(), "runs": (n_runs > 1).then_some(&runs),
    }))
}

const N_RECENT: u64 = 10;

async fn show(State(app): State<App>, Path(pipeline): Path<String>) -> Answer<axum::Json<Value>> {
    let workspace = app.workspace()?;
    let name = Name::parse(&pipeline)?;
    let definition = workspace.pipelines().definition(&name).await?;
    let deployed = workspace.pipelines().deployed(&name).await?;
    let mut value = view(&app, &deployed, &definition, N_RECENT).await?;
    value["steps"] = json!(definition.steps);
    if let Some(file) = workspace.project().await?.project.pipelines.get(&name) {
        value["params"] = json!(file.value.params);
    }
    Ok(axum::Json(value))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartBody {
    #[serde(default)]
    params: BTreeMap<String, String>,
}

async fn start(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path(pipeline): Path<String>,
    Json(body): Json<StartBody>,
) -> Answer<axum::Json<Value>> {
    let started = app.workspace()?.start_pipeline(&ctx, &Name::parse(&pipeline)?, body.params).await?;
    Ok(axum::Json(runs::view(&app, &started.run).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IngestBody {
    #[serde(default)]
    source: Option<Name>,
}

async fn ingest(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Json(body): Json<IngestBody>,
) -> Answer<axum::Json<Value>> {
    let started = app.workspace()?.start_ingestion(&ctx, body.source.as_ref(), Start::by_hand()).await?;
    Ok(axum::Json(runs::view(&app, &started.run).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaterializeBody {
    #[serde(default)]
    view: Option<Name>,
}

async fn materialize(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Json(body): Json<MaterializeBody>,
) -> Answer<axum::Json<Value>> {
    let views = app.workspace()?.materialize(&ctx, body.view.as_ref()).await?;
    let items: Vec<Value> = views
        .iter()
        .map(|view| json!({ "view": view.view, "version": view.version, "n_rows": view.n_written, "until": view.watermark }))
        .collect();
    Ok(axum::Json(json!({ "items": items })))
}
