//! Traces: those of MLflow 3, those of clients before it, assessments and search.

mod assessment;
mod legacy;
mod read;
mod search;
mod start;
mod wire;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, http::header};
use lw_core::{Ctx, Timestamp};
use lw_traces::Removal;
use lw_tracking::ExperimentId;
use serde_json::{Value, json};

use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::{Answer, Refusal};
use crate::route::{Route, both};

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(both!(POST "3.0/mlflow/traces", Write, "trace", start::start));
    routes.extend(both!(GET "3.0/mlflow/traces/{trace_id}", Read, "trace", read::info));
    routes.extend(both!(GET "3.0/mlflow/traces/get", Read, "trace", read::whole));
    routes.extend(both!(GET "3.0/mlflow/traces/batchGet", Read, "trace", read::batch));
    routes.extend(both!(POST "3.0/mlflow/traces/batchGetInfos", Read, "trace", read::batch_infos));
    routes.extend(both!(POST "3.0/mlflow/traces/search", Read, "trace", search::search));
    routes.extend(both!(POST "3.0/mlflow/traces/calculate-filter-correlation", Read, "trace", search::correlate));
    routes.extend(both!(POST "3.0/mlflow/traces/delete-traces", Write, "trace", remove));
    routes.extend(both!(PATCH "3.0/mlflow/traces/{trace_id}/tags", Write, "trace", tag));
    routes.extend(both!(DELETE "3.0/mlflow/traces/{trace_id}/tags", Write, "trace", remove_tag));
    routes.extend(assessment::routes());

    routes.extend(both!(POST "2.0/mlflow/traces/delete-traces", Write, "trace", remove));
    routes.extend(both!(POST "2.0/mlflow/traces/link-to-run", Write, "trace", link_to_run));
    routes.extend(both!(POST "2.0/mlflow/traces/link-prompts", Write, "trace", link_prompts));
    routes.extend(both!(PATCH "2.0/mlflow/traces/{trace_id}/tags", Write, "trace", tag));
    routes.extend(both!(DELETE "2.0/mlflow/traces/{trace_id}/tags", Write, "trace", remove_tag));
    routes.extend(legacy::routes());
    routes
}

/// Tags that the server alone sets.
const SERVERS_TAGS: [&str; 3] = [wire::SPANS_LOCATION, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"];

fn check_tag(key: &str, operation: &str) -> Answer<()> {
    let is_clearing = operation == "deleted" && key == "mlflow.trace.archivalFailure";
    if SERVERS_TAGS.contains(&key) && !is_clearing {
        return Err(Refusal::invalid(format!("Tag '{key}' is immutable and cannot be {operation} on a trace.")));
    }
    Ok(())
}

async fn tag(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(trace): Path<String>,
    message: Message,
) -> Answer<Json<Value>> {
    let fields = message.fields();
    let (key, value) = (fields.required_text("key")?, fields.text("value")?.unwrap_or_default());
    check_tag(key, "set")?;
    face.traces()?.tag(&ctx, &trace, key, value).await?;
    Ok(Json(json!({})))
}

async fn remove_tag(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(trace): Path<String>,
    message: Message,
) -> Answer<Json<Value>> {
    let fields = message.fields();
    let key = fields.required_text("key")?;
    check_tag(key, "deleted")?;
    face.traces()?.remove_tag(&ctx, &trace, key).await?;
    Ok(Json(json!({})))
}

async fn remove(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let experiment = fields.required_text("experiment_id")?;
    let (until, limit) = (fields.integer("max_timestamp_millis")?, fields.integer("max_traces")?);
    let ids = owned(fields.texts("request_ids")?);
    let removal = match (until, ids.is_empty()) {
        (None, true) => return Err(Refusal::invalid("Either `max_timestamp_millis` or `trace_ids` must be specified.")),
        (Some(_), false) => {
            return Err(Refusal::invalid("Only one of `max_timestamp_millis` and `trace_ids` can be specified."));
        }
        (None, false) if limit.is_some() => {
            return Err(Refusal::invalid("`max_traces` can't be specified if `trace_ids` is specified."));
        }
        (None, false) => Removal::Traces(ids),
        (Some(until), true) => {
            let positive = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
            let bad = |limit| Refusal::invalid(format!("`max_traces` must be a positive integer, received {limit}."));
            let limit = limit.map(|limit| positive(limit).ok_or_else(|| bad(limit))).transpose()?;
            // All of the millisecond that is named.
            let time = Timestamp::from_micros(until.saturating_mul(1000).saturating_add(999));
            Removal::Until { time, limit }
        }
    };
    let n_removed = face.traces()?.remove(&ctx, ExperimentId::parse(experiment)?, removal).await?;
    Ok(Json(json!({"traces_deleted": n_removed})))
}

async fn link_to_run(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let traces = owned(required_list(&fields, "trace_ids")?);
    let run = fields.required_text("run_id")?;
    face.traces()?.link_to_run(&ctx, traces, run).await?;
    Ok(Json(json!({})))
}

async fn link_prompts(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let trace = fields.required_text("trace_id")?;
    fields.get("prompt_versions").ok_or_else(|| fields.missing("prompt_versions"))?;
    let prompt = |prompt: &Fields<'_>| Ok(format!("{}/{}", prompt.required_text("name")?, prompt.required_text("version")?));
    let prompts = fields.list("prompt_versions")?.iter().map(prompt).collect::<Answer<Vec<_>>>()?;
    face.traces()?.link_prompts(&ctx, trace, prompts).await?;
    Ok(Json(json!({})))
}

pub(crate) fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// A list of texts that must be there, and may be empty.
pub(crate) fn required_list<'a>(fields: &Fields<'a>, name: &str) -> Answer<Vec<&'a str>> {
    fields.get(name).ok_or_else(|| fields.missing(name))?;
    fields.texts(name)
}

pub(crate) fn experiments(ids: Vec<&str>) -> Answer<Vec<ExperimentId>> {
    ids.into_iter().map(|id| ExperimentId::parse(id).map_err(Refusal::from)).collect()
}

/// A message's map of texts; other values count as their JSON.
fn text_map(fields: &Fields<'_>, name: &str) -> Answer<BTreeMap<String, String>> {
    match fields.get(name) {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(map)) => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Ok(map.iter().map(|(key, value)| (key.clone(), text(value))).collect())
        }
        Some(other) => Err(fields.mistyped(name, other)),
    }
}

/// An answer that was written already.
fn written(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
