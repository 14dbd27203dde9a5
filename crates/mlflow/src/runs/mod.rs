//! Runs: `/mlflow/runs/…`.

mod batch;
mod document;
mod inputs;
mod logging;
mod promptlab;
pub(crate) mod search;

use axum::extract::{Extension, State};
use axum::http::Method;
use axum::response::Response;
use lw_core::{Ctx, RunId, Timestamp};
use lw_governance::Action;
use lw_tracking::{Circumstances, ExperimentId, NewRun, RunStatus, RunUpdate};
use serde::Serialize;

pub(crate) use self::batch::model_id;
use self::document::{RunDocument, RunInfo};
use crate::document::{Done, json};
use crate::experiments::ConcatAll as _;
use crate::refusal::{Answer, ErrorCode};
use crate::route::{Route, both};
use crate::{Face, Fields, Message, Refusal};

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = [
        both!(POST "2.0/mlflow/runs/create", Write, "run", create),
        both!(GET "2.0/mlflow/runs/get", Read, "run", get),
        both!(POST "2.0/mlflow/runs/update", Write, "run", update),
        both!(POST "2.0/mlflow/runs/delete", Write, "run", delete),
        both!(POST "2.0/mlflow/runs/restore", Write, "run", restore),
        both!(POST "2.0/mlflow/runs/search", Read, "run", search::search),
        both!(POST "2.0/mlflow/runs/log-batch", Write, "run", batch::log_batch),
        both!(POST "2.0/mlflow/runs/log-metric", Write, "run", logging::log_metric),
        both!(POST "2.0/mlflow/runs/log-parameter", Write, "run", logging::log_param),
        both!(POST "2.0/mlflow/runs/set-tag", Write, "run", logging::set_tag),
        both!(POST "2.0/mlflow/runs/delete-tag", Write, "run", logging::delete_tag),
        both!(POST "2.0/mlflow/runs/log-model", Write, "run", logging::log_model),
        both!(POST "2.0/mlflow/runs/log-inputs", Write, "run", inputs::log_inputs),
        both!(POST "2.0/mlflow/runs/outputs", Write, "run", inputs::log_outputs),
    ]
    .concat_all();
    // Only the console calls it.
    let promptlab = "/ajax-api/2.0/mlflow/runs/create-promptlab-run";
    routes.push(Route::new(Method::POST, promptlab, Action::Write, "run", promptlab::create));
    routes
}

/// The id of a run, which old clients call `run_uuid`. A text that cannot be one names no run.
pub(crate) fn run_id(fields: &Fields<'_>) -> Answer<RunId> {
    run_of(run_id_text(fields)?)
}

pub(crate) fn run_id_text<'a>(fields: &Fields<'a>) -> Answer<&'a str> {
    let name = if fields.get("run_id").is_none() && fields.get("run_uuid").is_some() { "run_uuid" } else { "run_id" };
    let text = fields.text(name)?.filter(|text| !text.is_empty());
    text.ok_or_else(|| fields.missing("run_id"))
}

pub(crate) fn run_of(text: &str) -> Answer<RunId> {
    RunId::parse(text).map_err(|_| {
        let shown: String = text.chars().take(250).collect();
        Refusal::missing(format!("Run with id={shown} not found"))
    })
}

/// Milliseconds as a time. What lies beyond all times becomes one that nothing accepts.
pub(crate) fn time_of(millis: i64) -> Timestamp {
    let (earliest, latest) = (i64::MIN, i64::MAX);
    let bound = if millis < 0 { earliest } else { latest };
    Timestamp::from_micros(millis.checked_mul(1000).unwrap_or(bound))
}

fn checked_time(fields: &Fields<'_>, name: &str) -> Answer<Option<Timestamp>> {
    let Some(millis) = fields.integer(name)? else { return Ok(None) };
    match millis.checked_mul(1000) {
        Some(micros) => Ok(Some(Timestamp::from_micros(micros))),
        None => Err(Refusal::invalid(format!(
            "Invalid value {millis} for parameter '{name}' supplied. It must be a number of milliseconds since 1970."
        ))),
    }
}

/// The tags of a message; keys and values that are missing are empty.
pub(crate) fn pairs_of(fields: &Fields<'_>, name: &str) -> Answer<Vec<(String, String)>> {
    let pair = |pair: Fields<'_>| {
        Ok((pair.text("key")?.unwrap_or_default().to_owned(), pair.text("value")?.unwrap_or_default().to_owned()))
    };
    fields.list(name)?.into_iter().map(pair).collect()
}

async fn create(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    #[derive(Serialize)]
    struct Created<'a> {
        run: RunDocument<'a>,
    }
    let fields = message.fields();
    let experiment = fields.text("experiment_id")?.filter(|id| !id.is_empty());
    let started_at = checked_time(&fields, "start_time")?;
    let name = fields.text("run_name")?.map(str::to_owned);
    let Some(experiment) = experiment else {
        let missing = "Missing value for required parameter 'experiment_id'. Every run belongs to an experiment.";
        return Err(Refusal::new(ErrorCode::BadRequest, missing));
    };
    let new = NewRun {
        name,
        user_id: fields.text("user_id")?.unwrap_or_default().to_owned(),
        started_at,
        tags: pairs_of(&fields, "tags")?,
        ..NewRun::of(ExperimentId::parse(experiment)?, Circumstances::default())
    };
    let tags = new.tags.clone();
    let run = face.ready_tracking(&ctx).await?.start_run(&ctx, new).await?;
    Ok(json(&Created { run: RunDocument::started(&run, &tags) }))
}

pub(crate) async fn get(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    #[derive(Serialize)]
    struct Found<'a> {
        run: RunDocument<'a>,
    }
    let id = run_id(&message.fields())?;
    let data = face.ready_tracking(&ctx).await?.run(&id).await?;
    Ok(json(&Found { run: RunDocument::of(&data) }))
}

async fn update(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    #[derive(Serialize)]
    struct Updated<'a> {
        run_info: RunInfo<'a>,
    }
    let fields = message.fields();
    let id = run_id_text(&fields)?;
    let ended_at = checked_time(&fields, "end_time")?;
    let status = fields.enumeration("status", &STATUSES.map(|(name, number, _)| (name, number)))?;
    let status = STATUSES.into_iter().find(|(_, number, _)| Some(*number) == status).map(|(_, _, status)| status);
    let update = RunUpdate { status, ended_at, name: fields.text("run_name")?.map(str::to_owned) };
    let run = face.ready_tracking(&ctx).await?.update_run(&ctx, &run_of(id)?, update).await?;
    Ok(json(&Updated { run_info: RunInfo::of(&run) }))
}

const STATUSES: [(&str, i64, RunStatus); 5] = [
    ("RUNNING", 1, RunStatus::Running),
    ("SCHEDULED", 2, RunStatus::Scheduled),
    ("FINISHED", 3, RunStatus::Finished),
    ("FAILED", 4, RunStatus::Failed),
    ("KILLED", 5, RunStatus::Killed),
];

fn status_name(status: RunStatus) -> &'static str {
    STATUSES.iter().find(|(_, _, known)| *known == status).map_or("RUNNING", |(name, ..)| name)
}

async fn delete(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let id = run_id(&message.fields())?;
    face.ready_tracking(&ctx).await?.delete_run(&ctx, &id).await?;
    Ok(json(&Done {}))
}

async fn restore(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let id = run_id(&message.fields())?;
    face.ready_tracking(&ctx).await?.restore_run(&ctx, &id).await?;
    Ok(json(&Done {}))
}
