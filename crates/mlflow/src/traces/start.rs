//! What clients tell of a whole trace.

use axum::extract::State;
use axum::{Extension, Json};
use lw_core::{Ctx, Span as TimeSpan, Timestamp};
use lw_traces::{NewTrace, TraceFacts, TraceState};
use lw_tracking::ExperimentId;
use serde_json::{Value, json};

use super::{assessment, text_map, wire};
use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::{Answer, Refusal};

pub(super) async fn start(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let trace = fields.message("trace")?.ok_or_else(|| fields.missing("trace"))?;
    let info = trace.message("trace_info")?.ok_or_else(|| trace.missing("trace_info"))?;
    face.ready_tracking(&ctx).await?;
    let trace = face.traces()?.start(&ctx, new_trace(&info)?).await?;
    Ok(Json(json!({"trace": {"trace_info": wire::info(&trace)}})))
}

fn new_trace(info: &Fields<'_>) -> Answer<NewTrace> {
    let location = info.message("trace_location")?.ok_or_else(|| info.missing("trace_location"))?;
    let place = location.message("mlflow_experiment")?.ok_or_else(|| location.missing("mlflow_experiment"))?;
    let owned = |name: &str| Ok::<_, Refusal>(info.text(name)?.map(str::to_owned));
    let mut tags = text_map(info, "tags")?;
    // Clients send back what they were given; these two are always right here.
    tags.retain(|key, _| key != wire::ARTIFACT_LOCATION && key != wire::SPANS_LOCATION);
    let mut metadata = text_map(info, "trace_metadata")?;
    metadata.remove(wire::IS_FINAL);
    let state = match info.get("state") {
        None => TraceState::Unspecified,
        Some(state) => {
            let known = state.as_str().and_then(TraceState::of).or_else(|| by_number(state));
            known.ok_or_else(|| info.mistyped("state", state))?
        }
    };
    Ok(NewTrace {
        id: info.required_text("trace_id")?.to_owned(),
        facts: TraceFacts {
            experiment: ExperimentId::parse(place.required_text("experiment_id")?)?,
            started_at: time(info, "request_time")?.unwrap_or(Timestamp::from_micros(0)),
            duration: duration(info, "execution_duration")?,
            state,
            client_request_id: owned("client_request_id")?,
            request_preview: owned("request_preview")?,
            response_preview: owned("response_preview")?,
            is_final: true,
            metadata,
            tags,
        },
        assessments: info.list("assessments")?.iter().map(assessment::new_assessment).collect::<Answer<Vec<_>>>()?,
    })
}

fn by_number(state: &Value) -> Option<TraceState> {
    [TraceState::Unspecified, TraceState::Ok, TraceState::Error, TraceState::InProgress]
        .get(usize::try_from(state.as_u64()?).ok()?)
        .copied()
}

/// A protobuf time, cut to milliseconds.
pub(super) fn time(fields: &Fields<'_>, name: &str) -> Answer<Option<Timestamp>> {
    let Some(text) = fields.text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let bad = |_| Refusal::invalid(format!("Invalid value \"{text}\" for parameter '{name}' supplied: it is no time"));
    let time = Timestamp::parse(text).map_err(bad)?;
    Ok(Some(Timestamp::from_millis(time.micros().div_euclid(1000))))
}

/// A protobuf duration such as `1.5s`, cut to milliseconds.
fn duration(fields: &Fields<'_>, name: &str) -> Answer<Option<TimeSpan>> {
    let Some(text) = fields.text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse::<f64>().ok()).filter(|seconds| seconds.is_finite());
    let bad = || Refusal::invalid(format!("Invalid value \"{text}\" for parameter '{name}' supplied: it is no duration"));
    // Rounded to microseconds first, so that 1.001 is not 1.0009999.
    let micros = (seconds.ok_or_else(bad)? * 1e6).round() as i64;
    Ok(Some(TimeSpan::from_millis(micros.div_euclid(1000))))
}
