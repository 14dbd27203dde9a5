//! Pipeline runs: their steps and logs, ingestion, materialization.

use axum::extract::{Extension, Path, State};
use lw_core::{Ctx, Name, Result, Span};
use lw_pipelines::{PipelineRunId, RunState, RunView, Start};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::{Json, Query};
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/pipeline-runs", Action::Read, "pipeline", list).summary("Runs, newest first; ?pipeline=NAME&limit=N"),
        Route::get("/api/v1/pipeline-runs/{run}", Action::Read, "pipeline", show).summary("One run with its steps"),
        Route::get("/api/v1/pipeline-runs/{run}/logs", Action::Read, "pipeline", logs)
            .summary("Log lines after a cursor; ?after=CURSOR&limit=N"),
        Route::post("/api/v1/pipeline-runs/{run}/cancel", Action::Write, "pipeline", cancel).summary("Stops a run"),
        Route::post("/api/v1/pipeline-runs/{run}/resume", Action::Write, "pipeline", resume)
            .summary("Continues a failed run; finished steps stay finished"),
        Route::post("/api/v1/pipelines/{pipeline}/runs", Action::Write, "pipeline", start)
            .summary("Starts a pipeline of the project"),
        Route::post("/api/v1/ingestions", Action::Write, "source", ingest).summary("Ingests one source or all; {source?}"),
        Route::post("/api/v1/materializations", Action::Write, "feature_view", materialize)
            .summary("Brings one feature view or all up to date online; {view?}"),
    ]
}

/// A run as callers read it: its state, steps, first error and what to say about it.
pub async fn run_view(app: &App, id: &PipelineRunId) -> Result<Value> {
    let workspace = app.workspace()?;
    Ok(view(&workspace.pipelines().run(id).await?))
}

fn view(run: &RunView) -> Value {
    let summary = &run.summary;
    let outputs = |key: &str| run.step(key).and_then(|step| step.manifest.as_ref()).map(|manifest| &manifest.outputs);
    let waiting = run.steps.iter().find(|step| step.state == "waiting");
    let release = outputs("release");
    let is_refused = release.is_some_and(|release| release["released"] == false);
    let version = outputs("register").and_then(|outputs| outputs["version"].as_u64());
    let state = match summary.state {
        RunState::Running if waiting.is_some() => "waiting",
        RunState::Succeeded if is_refused => "refused",
        state => state.name(),
    };
    let failed = run.steps.iter().find_map(|step| step.error.as_ref());
    let reason = release.and_then(|release| release["reason"].as_str());
    let message = match (state, waiting.and_then(|step| step.reason.as_deref()), reason) {
        ("waiting", Some(reason), _) => reason.to_owned(),
        (_, _, Some(reason)) => reason.to_owned(),
        _ => format!("{} {state}", summary.pipeline),
    };
    let next = match (state, version) {
        ("waiting", Some(version)) => {
            Some(format!("loopwright approve {}@{version} --reason \"…\" --as SOMEBODY_ELSE", summary.pipeline))
        }
        _ => None,
    };
    let error = match (failed, state) {
        (Some(error), _) => Some(json!({ "code": error.code, "message": error.message })),
        (None, "refused") => Some(
            json!({ "code": "gates-refused", "kind": "refused", "message": message, "hint": format!("`loopwright why {}` shows the numbers", summary.pipeline) }),
        ),
        _ => None,
    };
    let steps: Vec<Value> = run
        .steps
        .iter()
        .map(|step| {
            let message = step.reason.clone().or_else(|| step.error.as_ref().map(|error| error.message.clone()));
            let seconds = step.started_at.zip(step.finished_at).map(|(from, to)| (to - from).as_secs_f64());
            json!({
                "key": step.key, "state": step.state, "attempt": step.attempt, "message": message, "seconds": seconds,
                "outputs": step.manifest.as_ref().map(|manifest| &manifest.outputs), "cached_from": step.cached_from,
            })
        })
        .collect();
    json!({
        "id": summary.run, "pipeline": summary.pipeline, "digest": summary.digest, "cause": summary.cause, "started_by": summary.started_by,
        "state": state, "started_at": summary.started_at, "finished_at": summary.finished_at,
        "message": message, "next": next, "error": error, "steps": steps,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunQuery {
    pipeline: Option<Name>,
    limit: Option<u64>,
}

async fn list(State(app): State<App>, Query(query): Query<RunQuery>) -> Answer<axum::Json<Value>> {
    let workspace = app.workspace()?;
    let before = workspace.clock().now() + Span::from_secs(1);
    let runs = workspace.pipelines().runs(query.pipeline.as_ref(), before, query.limit.unwrap_or(50)).await?;
    let items: Vec<Value> = runs
        .iter()
        .map(|run| {
            json!({
                "id": run.run, "pipeline": run.pipeline, "state": run.state, "cause": run.cause, "started_by": run.started_by,
                "started_at": run.started_at, "finished_at": run.finished_at,
            })
        })
        .collect();
    Ok(axum::Json(json!({ "items": items })))
}

async fn show(State(app): State<App>, Path(run): Path<String>) -> Answer<axum::Json<Value>> {
    Ok(axum::Json(run_view(&app, &PipelineRunId::parse(&run)?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    after: Option<i64>,
    limit: Option<u64>,
}

async fn logs(State(app): State<App>, Path(run): Path<String>, Query(query): Query<LogQuery>) -> Answer<axum::Json<Value>> {
    let run = PipelineRunId::parse(&run)?;
    let lines = app.workspace()?.pipelines().log(&run, query.after.unwrap_or(0), query.limit.unwrap_or(500)).await?;
    Ok(axum::Json(json!({ "items": lines })))
}

async fn cancel(State(app): State<App>, Extension(ctx): Extension<Ctx>, Path(run): Path<String>) -> Answer<axum::Json<Value>> {
    let run = PipelineRunId::parse(&run)?;
    app.workspace()?.pipelines().cancel(&ctx, &run).await?;
    Ok(axum::Json(run_view(&app, &run).await?))
}

async fn resume(State(app): State<App>, Extension(ctx): Extension<Ctx>, Path(run): Path<String>) -> Answer<axum::Json<Value>> {
    let run = PipelineRunId::parse(&run)?;
    app.workspace()?.pipelines().resume(&ctx, &run).await?;
    Ok(axum::Json(run_view(&app, &run).await?))
}

async fn start(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path(pipeline): Path<String>,
) -> Answer<axum::Json<Value>> {
    let started = app.workspace()?.pipelines().start(&ctx, &Name::parse(&pipeline)?, Start::by_hand()).await?;
    Ok(axum::Json(run_view(&app, &started.run).await?))
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
    Ok(axum::Json(run_view(&app, &started.run).await?))
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
