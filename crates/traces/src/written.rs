//! A span as MLflow's server writes it into `traces.json`: what its console reads and what filters on a span's content see.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Fields, Json};
use crate::{Span, SpanLink, SpanStatus};

/// The JSON text of a span. `trace` is the id of its trace. Values of attributes are JSON within texts.
pub fn written_span(trace: &str, span: &Span) -> String {
    let text = |text: &str| Json::Text(text.to_owned());
    let encoded = |id: &str| Json::Text(STANDARD.encode(hex_bytes(id)));
    let event = |event: &crate::SpanEvent| {
        object([
            ("name", text(&event.name)),
            ("time_unix_nano", Json::Int(event.at_ns)),
            ("attributes", Json::Object(event.attributes.clone())),
        ])
    };
    let link = |link: &SpanLink| {
        object([
            ("trace_id", Json::Text(format!("tr-{}", link.trace))),
            ("span_id", text(&link.span)),
            ("attributes", Json::Object(link.attributes.clone())),
        ])
    };
    let code = match span.status {
        SpanStatus::Unset => "STATUS_CODE_UNSET",
        SpanStatus::Ok => "STATUS_CODE_OK",
        SpanStatus::Error => "STATUS_CODE_ERROR",
    };
    let attributes = span.attributes.0.iter().map(|(name, value)| (name.clone(), Json::Text(value.dumped())));
    let written = object([
        ("trace_id", encoded(trace.strip_prefix("tr-").unwrap_or(trace))),
        ("span_id", encoded(&span.id)),
        ("parent_span_id", span.parent.as_deref().map_or(Json::Null, encoded)),
        ("name", text(&span.name)),
        ("start_time_unix_nano", Json::Int(span.start_ns)),
        ("end_time_unix_nano", span.end_ns.map_or(Json::Null, Json::Int)),
        ("events", Json::List(span.events.iter().map(event).collect())),
        ("status", object([("code", text(code)), ("message", text(&span.status_message))])),
        ("attributes", Json::Object(attributes.collect())),
        ("links", Json::List(span.links.iter().map(link).collect())),
    ]);
    written.dumped()
}

fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    Json::Object(Fields(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

/// The bytes that hexadecimal digits stand for; none for what is not hexadecimal.
pub(crate) fn hex_bytes(text: &str) -> Vec<u8> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let pairs = digits.unwrap_or_default();
    pairs.chunks_exact(2).filter_map(|pair| u8::try_from(pair.first()? * 16 + pair.last()?).ok()).collect()
}
