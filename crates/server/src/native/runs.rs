//! Runs of pipelines: what each is doing, why, and what to do next; their logs; stopping and resuming them.

use axum::extract::{Extension, Path, State};
use lw_core::{Ctx, Name, Result, Span, Timestamp};
use lw_pipelines::{PipelineRunId, RunState, RunView, StepView, UNKNOWN_STEP};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Query;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/pipeline-runs", Action::Read, "pipeline", list)
            .summary("Runs, newest first; ?pipeline=NAME&state=STATE&before=TIME&limit=N"),
        Route::get("/api/v1/pipeline-runs/{run}", Action::Read, "pipeline", show)
            .summary("One run with its steps; an id, its beginning, or a pipeline for its newest run"),
        Route::get("/api/v1/pipeline-runs/{run}/logs", Action::Read, "pipeline", logs)
            .summary("Log lines after a cursor; ?step=KEY&after=CURSOR&limit=N"),
        Route::post("/api/v1/pipeline-runs/{run}/cancel", Action::Write, "pipeline", cancel).summary("Stops a run"),
        Route::post("/api/v1/pipeline-runs/{run}/resume", Action::Write, "pipeline", resume)
            .summary("Continues a failed or cancelled run; finished steps stay finished"),
    ]
}

/// Where a run stands, as people say it. The engine knows whether a run goes on; whether it waits for somebody, or a gate said no, its
/// steps tell.
pub fn state(run: &RunView) -> &'static str {
    let any = |state: &str| run.steps.iter().any(|step| step.state == state);
    match run.summary.state {
        RunState::Running if any("waiting") && !any("running") && !any("ready") => "waiting",
        RunState::Running if run.steps.iter().all(|step| step.started_at.is_none()) => "queued",
        RunState::Succeeded if is_refused(run) => "refused",
        state => state.name(),
    }
}

/// Where a step stands, as people say it. To the engine a gate that said no has done its work, and so have the steps after it, which had
/// nothing to do; to people it refused, and they were skipped.
fn step_state<'a>(run: &'a RunView, step: &'a StepView) -> &'a str {
    let said_no = |step: &str, answer: &str| outputs(run, step).is_some_and(|outputs| outputs[answer] == false);
    match step.key.as_str() {
        _ if step.state != "succeeded" => &step.state,
        "gate" if said_no("gate", "passed") => "refused",
        "approval" if said_no("gate", "passed") => "skipped",
        "approval" if said_no("approval", "approved") => "refused",
        "release" if said_no("release", "released") => "skipped",
        _ => &step.state,
    }
}

fn outputs<'a>(run: &'a RunView, step: &str) -> Option<&'a Value> {
    Some(&run.step(step)?.manifest.as_ref()?.outputs)
}

fn is_refused(run: &RunView) -> bool {
    outputs(run, "release").is_some_and(|release| release["released"] == false)
}

/// A run in a list.
pub fn summary(run: &RunView, now: Timestamp) -> Value {
    let summary = &run.summary;
    let seconds = (summary.finished_at.unwrap_or(now) - summary.started_at).as_secs_f64();
    let kind = if run.step("training_set").is_some() && run.step("release").is_some() { "model" } else { "pipeline" };
    let n_done = run.steps.iter().filter(|step| step_state(run, step) == "succeeded").count();
    json!({
        "id": summary.run, "pipeline": summary.pipeline, "state": state(run), "message": message(run), "cause": summary.cause,
        "started_by": summary.started_by, "started_at": summary.started_at, "finished_at": summary.finished_at, "seconds": seconds,
        "n_steps": run.steps.len(), "n_succeeded": n_done, "kind": kind,
    })
}

/// What a person should know of a run that is not simply under way.
fn message(run: &RunView) -> Option<String> {
    let failed = run.steps.iter().find_map(|step| step.error.as_ref().map(|error| format!("{}: {}", step.key, error.message)));
    let waits = run.steps.iter().find(|step| step.state == "waiting").and_then(|step| step.reason.clone());
    let release = outputs(run, "release").and_then(|release| release["reason"].as_str()).map(str::to_owned);
    match state(run) {
        "queued" => Some("nothing works on it yet; `loopwright up` does".to_owned()),
        "waiting" => waits,
        "failed" | "cancelled" | "running" => failed,
        _ => release,
    }
}

/// The command that goes on from here.
///
/// A run keeps the definitions that it was started with. Where others have been applied since, going on with the old ones would fail the
/// same way: a new run takes the new ones.
fn next(run: &RunView, applied: Option<u64>) -> Option<String> {
    let pipeline = &run.summary.pipeline;
    let version = outputs(run, "register").and_then(|outputs| outputs["version"].as_u64());
    match (state(run), version) {
        ("waiting", Some(version)) => Some(format!("loopwright approve {pipeline}@{version} --reason \"…\" --as SOMEBODY_ELSE")),
        ("queued", _) => Some("loopwright up".to_owned()),
        ("failed" | "cancelled", _) if applied.is_some_and(|applied| is_outdated(run, applied)) => {
            let params = run.summary.params["params"].as_object().into_iter().flatten();
            let given = params.map(|(name, value)| format!(" --param {name}={}", value.as_str().unwrap_or_default()));
            Some(format!("loopwright run {pipeline}{}", given.collect::<String>()))
        }
        ("failed" | "cancelled", _) => Some(format!("loopwright resume {}", run.summary.run)),
        _ => None,
    }
}

/// Whether a run of a model or pipeline was started under an older version of the project.
fn is_outdated(run: &RunView, applied: u64) -> bool {
    run.summary.params["project_version"].as_u64().is_some_and(|pinned| pinned < applied)
}

fn error(run: &RunView) -> Option<Value> {
    if let Some(error) = run.steps.iter().find_map(|step| step.error.as_ref().filter(|_| step.state != "succeeded")) {
        return Some(json!({ "code": error.code, "message": error.message }));
    }
    is_refused(run).then(|| {
        let version = outputs(run, "release").and_then(|release| release["version"].as_u64());
        let version = version.map_or_else(String::new, |version| format!("@{version}"));
        let hint = format!("`loopwright why {}{version}` shows the numbers and who said no", run.summary.pipeline);
        // Runs of before tell no code; gates had refused most of them.
        let code = outputs(run, "release").and_then(|release| release["code"].as_str()).unwrap_or("gates-refused");
        json!({ "code": code, "kind": "refused", "message": message(run), "hint": hint })
    })
}

fn step_view(run: &RunView, step: &StepView, now: Timestamp) -> Value {
    let until = step.finished_at.or((step.state == "running").then_some(now));
    let error = step.error.as_ref();
    json!({
        "key": step.key, "state": step_state(run, step), "attempt": step.attempt, "cached_from": step.cached_from,
        "started_at": step.started_at, "finished_at": step.finished_at,
        "seconds": step.started_at.zip(until).map(|(from, until)| (until - from).as_secs_f64()),
        "message": step.reason.clone().or_else(|| error.map(|error| error.message.clone())),
        "error": error.map(|error| json!({ "code": error.code, "message": error.message })),
        "outputs": step.manifest.as_ref().map(|manifest| &manifest.outputs),
    })
}

/// A run as callers read it: its state, steps, first error and what to do about it.
pub async fn view(app: &App, id: &PipelineRunId) -> Result<Value> {
    let workspace = app.workspace()?;
    let run = workspace.pipelines().run(id).await?;
    let now = workspace.clock().now();
    let mut value = summary(&run, now);
    let plain = || format!("{} {}", run.summary.pipeline, state(&run));
    value["message"] = message(&run).unwrap_or_else(plain).into();
    value["digest"] = json!(run.summary.digest);
    value["params"] = run.summary.params.clone();
    let applied = workspace.project().await.ok().map(|running| running.applied.version);
    value["next"] = json!(next(&run, applied));
    value["error"] = json!(error(&run));
    value["steps"] = run.steps.iter().map(|step| step_view(&run, step, now)).collect();
    if let Some(trouble) = workspace.pipelines().trouble().filter(|_| !run.summary.state.is_over()) {
        value["trouble"] = json!({
            "code": trouble.failure.code, "kind": trouble.failure.kind, "message": trouble.message, "hint": trouble.hint,
            "n_tries": trouble.n_tries,
        });
    }
    Ok(value)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunQuery {
    pipeline: Option<Name>,
    /// Only runs in this state, among those of the page.
    state: Option<String>,
    /// Runs that started before this time: the `started_at` of the last one of the page before.
    before: Option<Timestamp>,
    limit: Option<u64>,
}

async fn list(State(app): State<App>, Query(query): Query<RunQuery>) -> Answer<axum::Json<Value>> {
    let workspace = app.workspace()?;
    let now = workspace.clock().now();
    let before = query.before.unwrap_or(now + Span::from_secs(1));
    let limit = query.limit.unwrap_or(50).min(500);
    let runs = workspace.pipelines().views(query.pipeline.as_ref(), before, limit).await?;
    if let Some(pipeline) = query.pipeline.as_ref().filter(|_| runs.is_empty() && query.before.is_none()) {
        // A pipeline that is deployed has no runs yet; of another there is nothing to say.
        workspace.pipelines().deployed(pipeline).await?;
    }
    let is_wanted = |run: &&RunView| query.state.as_deref().is_none_or(|wanted| wanted == state(run));
    let items: Vec<Value> = runs.iter().filter(is_wanted).map(|run| summary(run, now)).collect();
    let next = runs.last().filter(|_| runs.len() as u64 == limit).map(|run| run.summary.started_at);
    Ok(axum::Json(json!({ "items": items, "before": next })))
}

async fn show(State(app): State<App>, Path(run): Path<String>) -> Answer<axum::Json<Value>> {
    let run = app.workspace()?.pipelines().find(&run).await?;
    Ok(axum::Json(view(&app, &run).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    step: Option<String>,
    after: Option<i64>,
    limit: Option<u64>,
}

async fn logs(State(app): State<App>, Path(run): Path<String>, Query(query): Query<LogQuery>) -> Answer<axum::Json<Value>> {
    let pipelines = app.workspace()?.pipelines();
    let run = pipelines.run(&pipelines.find(&run).await?).await?;
    if let Some(step) = &query.step
        && run.step(step).is_none()
    {
        let known: Vec<&str> = run.steps.iter().map(|step| step.key.as_str()).collect();
        let error = UNKNOWN_STEP.error(format!("run {} has no step `{}`", run.summary.run, step.escape_debug()));
        return Err(error.hint(format!("its steps are: {}", known.join(", "))).into());
    }
    let limit = query.limit.unwrap_or(500);
    let lines = pipelines.log(&run.summary.run, query.step.as_deref(), query.after.unwrap_or(0), limit).await?;
    Ok(axum::Json(json!({ "run": run.summary.run, "state": state(&run), "items": lines })))
}

async fn cancel(State(app): State<App>, Extension(ctx): Extension<Ctx>, Path(run): Path<String>) -> Answer<axum::Json<Value>> {
    let pipelines = app.workspace()?.pipelines();
    let run = pipelines.find(&run).await?;
    pipelines.cancel(&ctx, &run).await?;
    Ok(axum::Json(view(&app, &run).await?))
}

async fn resume(State(app): State<App>, Extension(ctx): Extension<Ctx>, Path(run): Path<String>) -> Answer<axum::Json<Value>> {
    let pipelines = app.workspace()?.pipelines();
    let run = pipelines.find(&run).await?;
    pipelines.resume(&ctx, &run).await?;
    Ok(axum::Json(view(&app, &run).await?))
}
