//! Reading traces by id.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use lw_traces::{TRACE_INCOMPLETE, written_span};
use lw_tracking::{Artifact, ArtifactOwner};
use serde::Serialize;
use serde_json::{Value, json};

use super::wire::{self, List, WholeTrace};
use super::{experiments, owned, required_list, written};
use crate::artifacts::download::send;
use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::{Answer, ErrorCode, Refusal};

pub(super) async fn info(State(face): State<Face>, Path(trace): Path<String>) -> Answer<Json<Value>> {
    let trace = face.traces()?.trace(&trace).await?;
    Ok(Json(json!({"trace": {"trace_info": wire::info(&trace)}})))
}

#[derive(Serialize)]
struct One<'a> {
    trace: WholeTrace<'a>,
}

pub(super) async fn whole(State(face): State<Face>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let id = fields.required_text("trace_id")?;
    let traces = face.traces()?;
    let (trace, spans) = match fields.boolean("allow_partial")? {
        Some(true) => traces.trace_with_spans(id).await?,
        _ => traces.whole_trace(id).await?,
    };
    Ok(written(to_json(&One { trace: WholeTrace { trace: &trace, spans: &spans } })?))
}

#[derive(Serialize)]
struct Many<T: Serialize> {
    traces: T,
}

pub(super) async fn batch(State(face): State<Face>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let ids = owned(required_list(&fields, "trace_ids")?);
    let found = face.traces()?.whole_traces(&ids, scope(&fields)?).await?;
    if found.is_empty() {
        return Ok(Json(json!({})).into_response());
    }
    Ok(written(to_json(&Many { traces: List(&found, WholeTrace::of) })?))
}

pub(super) async fn batch_infos(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let ids = owned(required_list(&fields, "trace_ids")?);
    let found = face.traces()?.traces(&ids, scope(&fields)?).await?;
    Ok(Json(match found.is_empty() {
        true => json!({}),
        false => json!({"trace_infos": found.iter().map(wire::info).collect::<Vec<_>>()}),
    }))
}

/// The experiments that a reader limits itself to; an empty list is none.
fn scope(fields: &Fields<'_>) -> Answer<Option<Vec<lw_tracking::ExperimentId>>> {
    fields.get("experiment_ids").map(|_| experiments(fields.texts("experiment_ids")?)).transpose()
}

/// `traces.json`, for MLflow's console, or an attachment of a trace.
pub(super) async fn artifact(State(face): State<Face>, method: Method, headers: HeaderMap, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let missing = || Refusal::new(ErrorCode::BadRequest, "Request must include the \"request_id\" query parameter.");
    let id = fields.text("request_id")?.filter(|id| !id.is_empty()).ok_or_else(missing)?;
    if let Some(path) = fields.text("path")? {
        face.traces()?.trace(id).await?;
        let kept = kept(&face, id, &format!("attachments/{path}")).await?;
        let missing = || Refusal::missing(format!("Failed to download attachment '{path}' for trace '{id}'."));
        return send(&face, &method, &headers, &kept.ok_or_else(missing)?).await;
    }
    let (trace, spans) = match face.traces()?.trace_with_spans(id).await {
        // Clients that send no spans keep them as a file.
        Err(error) if error.is(TRACE_INCOMPLETE) => {
            let missing = || Refusal::new(ErrorCode::NotFound, "Trace data not found for path=traces.json");
            return send(&face, &method, &headers, &kept(&face, id, "traces.json").await?.ok_or_else(missing)?).await;
        }
        other => other?,
    };
    let mut body = String::from("{\"spans\":[");
    for (index, span) in spans.iter().enumerate() {
        body.push_str(if index == 0 { "" } else { "," });
        body.push_str(&written_span(&trace.id, span));
    }
    body.push_str("]}");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=traces.json"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, body).into_response())
}

/// What a client keeps for a trace as an artifact.
async fn kept(face: &Face, trace: &str, path: &str) -> Answer<Option<Artifact>> {
    let Some(owner) = ArtifactOwner::trace(trace) else { return Ok(None) };
    Ok(face.tracking().artifact(&owner, path).await?)
}

fn to_json(value: &impl Serialize) -> Answer<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| lw_core::Error::bug("a trace is not JSON").cause(error).into())
}
