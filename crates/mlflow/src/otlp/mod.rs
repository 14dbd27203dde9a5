//! OTLP over HTTP: `POST /v1/traces`, as protobuf or JSON, compressed or not. All spans of a request are kept or none.

mod convert;
mod message;

use std::io::Read;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use lw_core::Ctx;
use lw_governance::Action;
use lw_tracking::ExperimentId;
use serde_json::{Value, json};

use crate::face::Face;
use crate::refusal::Refusal;
use crate::route::Route;
use message::ExportTraceServiceRequest;

const EXPERIMENT_HEADER: &str = "x-mlflow-experiment-id";
const RUN_HEADER: &str = "x-mlflow-run-id";
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// What a compressed request may grow to.
const MAX_UNPACKED_BYTES: u64 = 128 << 20;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::new(Method::POST, "/v1/traces", Action::Write, "trace", export)]
}

/// Why a request was not taken: what OpenTelemetry's clients are told is a detail and a status.
struct Declined(StatusCode, Value);

impl Declined {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(status, Value::String(detail.into()))
    }

    fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
}

impl IntoResponse for Declined {
    fn into_response(self) -> Response {
        (self.0, axum::Json(json!({"detail": self.1}))).into_response()
    }
}

async fn export(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match taken(&face, &ctx, &headers, body).await {
        Ok(answer) => answer,
        Err(response) => response,
    }
}

async fn taken(face: &Face, ctx: &Ctx, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Response, Response> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(experiment) = text(EXPERIMENT_HEADER) else {
        let missing = json!([{"type": "missing", "loc": ["header", EXPERIMENT_HEADER], "msg": "Field required", "input": null}]);
        return Err(Declined(StatusCode::UNPROCESSABLE_ENTITY, missing).into_response());
    };
    let given = text("content-type");
    let media_type = given.map(|given| given.split(';').next().unwrap_or_default().trim());
    let media_type = media_type.filter(|media_type| [PROTOBUF, JSON].contains(media_type)).ok_or_else(|| {
        let given = given.unwrap_or("None");
        Declined::bad(format!("Invalid Content-Type: {given}. Expected: {PROTOBUF} or {JSON}")).into_response()
    })?;
    let body = body.map_err(|rejection| Declined::new(rejection.status(), rejection.body_text()).into_response())?;
    let encoding = text("content-encoding").map(str::to_lowercase);
    let body = unpacked(body, encoding.as_deref()).map_err(IntoResponse::into_response)?;
    let groups = parsed(media_type, &body).map_err(IntoResponse::into_response)?;

    let refused = |error: lw_core::Error| Refusal::from(error).into_response();
    let experiment = ExperimentId::parse(experiment).map_err(refused)?;
    face.ready_tracking(ctx).await.map_err(refused)?;
    let traces = face.traces().map_err(IntoResponse::into_response)?;
    let has_root = |group: &&lw_traces::SpanGroup| group.spans.iter().any(|span| span.parent.is_none());
    let completed: Vec<String> = groups.iter().filter(has_root).map(|group| group.trace.clone()).collect();
    traces.log_spans(ctx, experiment, groups).await.map_err(refused)?;
    if let Some(run) = text(RUN_HEADER) {
        // The spans are kept whatever becomes of the link.
        for completed in completed.chunks(100) {
            if let Err(error) = traces.link_to_run(ctx, completed.to_vec(), run).await {
                tracing::warn!(?error, "Traces could not be linked to run `{}`", run.escape_debug());
            }
        }
    }
    let answer: &'static [u8] = if media_type == JSON { b"{}" } else { b"" };
    Ok(([(header::CONTENT_TYPE, if media_type == JSON { JSON } else { PROTOBUF })], answer).into_response())
}

fn parsed(media_type: &str, body: &[u8]) -> Result<Vec<lw_traces::SpanGroup>, Declined> {
    let bad = || Declined::bad("Invalid OpenTelemetry format");
    let request = match media_type == JSON {
        true => serde_json::from_slice::<ExportTraceServiceRequest>(body).map_err(|_| bad())?,
        false => prost::Message::decode(body).map_err(|_| bad())?,
    };
    if request.resource_spans.is_empty() {
        return Err(Declined::bad("Invalid OpenTelemetry format - no spans found"));
    }
    convert::groups(request)
        .ok_or_else(|| Declined::new(StatusCode::UNPROCESSABLE_ENTITY, "Cannot convert OpenTelemetry span to MLflow span"))
}

fn unpacked(body: Bytes, encoding: Option<&str>) -> Result<Bytes, Declined> {
    match encoding {
        None | Some("" | "identity") => Ok(body),
        Some("gzip") => read(MultiGzDecoder::new(&*body), "gzip"),
        // Most clients mean zlib by it, some the bare stream.
        Some("deflate") => read(ZlibDecoder::new(&*body), "deflate").or_else(|_| read(DeflateDecoder::new(&*body), "deflate")),
        Some(other) => Err(Declined::bad(format!("Unsupported Content-Encoding: {other}"))),
    }
}

/// Reads a compressed body, and stops where it becomes larger than any honest one.
fn read(packed: impl Read, encoding: &str) -> Result<Bytes, Declined> {
    let mut body = Vec::new();
    let failed = |_| Declined::bad(format!("Failed to decompress {encoding} payload"));
    packed.take(MAX_UNPACKED_BYTES + 1).read_to_end(&mut body).map_err(failed)?;
    if body.len() as u64 > MAX_UNPACKED_BYTES {
        let text = format!("The decompressed payload has more than {} MiB; send fewer spans at a time", MAX_UNPACKED_BYTES >> 20);
        return Err(Declined::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    Ok(body.into())
}
