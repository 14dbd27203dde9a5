//! Traces as clients before MLflow 3 know them.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::Method;
use axum::{Extension, Json};
use lw_core::{Ctx, Timestamp};
use lw_governance::Action;
use lw_traces::{NewTrace, TraceFacts, TraceState};
use lw_tracking::ExperimentId;
use serde_json::{Value, json};

use super::{experiments, read, required_list, search, wire};
use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::Answer;
use crate::route::{Route, both};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::new(Method::GET, "/ajax-api/2.0/mlflow/get-trace-artifact", Action::Read, "trace", read::artifact).streaming(),
    ];
    routes.extend(both!(POST "2.0/mlflow/traces", Write, "trace", begin));
    routes.extend(both!(PATCH "2.0/mlflow/traces/{trace_id}", Write, "trace", end));
    routes.extend(both!(GET "2.0/mlflow/traces/{trace_id}/info", Read, "trace", info));
    routes.extend(both!(GET "2.0/mlflow/traces", Read, "trace", list));
    routes
}

async fn begin(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let mut tags = pairs(&fields, "tags")?;
    tags.retain(|key, _| key != wire::ARTIFACT_LOCATION && key != wire::SPANS_LOCATION);
    let new = NewTrace {
        id: ctx.ids.next_hex(),
        facts: TraceFacts {
            experiment: ExperimentId::parse(fields.text("experiment_id")?.unwrap_or_default())?,
            started_at: Timestamp::from_millis(fields.integer("timestamp_ms")?.unwrap_or_default()),
            duration: None,
            state: TraceState::InProgress,
            client_request_id: None,
            request_preview: None,
            response_preview: None,
            is_final: false,
            metadata: pairs(&fields, "request_metadata")?,
            tags,
        },
        assessments: Vec::new(),
    };
    face.ready_tracking(&ctx).await?;
    let trace = face.traces()?.start(&ctx, new).await?;
    Ok(Json(json!({"trace_info": wire::old_info(&trace)})))
}

async fn end(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(trace): Path<String>,
    message: Message,
) -> Answer<Json<Value>> {
    let fields = message.fields();
    let ended_at = Timestamp::from_millis(fields.integer("timestamp_ms")?.unwrap_or_default());
    let status = fields.text("status")?.unwrap_or("TRACE_STATUS_UNSPECIFIED");
    let state = match status {
        "TRACE_STATUS_UNSPECIFIED" => TraceState::Unspecified,
        status => TraceState::of(status).ok_or_else(|| fields.mistyped("status", &json!(status)))?,
    };
    let (metadata, tags) = (pairs(&fields, "request_metadata")?, pairs(&fields, "tags")?);
    let trace = face.traces()?.end(&ctx, &trace, ended_at, state, metadata, tags).await?;
    Ok(Json(json!({"trace_info": wire::old_info(&trace)})))
}

async fn info(State(face): State<Face>, Path(trace): Path<String>) -> Answer<Json<Value>> {
    let trace = face.traces()?.trace(&trace).await?;
    Ok(Json(json!({"trace_info": wire::old_info(&trace)})))
}

async fn list(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let experiments = experiments(required_list(&fields, "experiment_ids")?)?;
    let page = face.traces()?.search(search::asked(&fields, experiments)?).await?;
    Ok(Json(search::listed(&page, wire::old_info)))
}

/// A list of keys and values.
fn pairs(fields: &Fields<'_>, name: &str) -> Answer<BTreeMap<String, String>> {
    let pair = |pair: Fields<'_>| Ok((pair.required_text("key")?.to_owned(), pair.text("value")?.unwrap_or_default().to_owned()));
    fields.list(name)?.into_iter().map(pair).collect()
}
