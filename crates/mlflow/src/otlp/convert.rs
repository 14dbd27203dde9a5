//! From OpenTelemetry's messages to spans.

use std::collections::HashMap;

use lw_traces::{Fields, Json, Span, SpanEvent, SpanGroup, SpanLink, SpanStatus, attribute};

use super::message::{AnyKind, AnyValue, ExportTraceServiceRequest, KeyValue, WireSpan};

const KINDS: [&str; 6] = ["", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

/// The spans of a request, a group for each trace of each resource. None if one of them has no id, or one of a wrong length.
pub(super) fn groups(request: ExportTraceServiceRequest) -> Option<Vec<SpanGroup>> {
    let mut groups: Vec<SpanGroup> = Vec::new();
    for of_resource in request.resource_spans {
        let resource = fields(of_resource.resource.map(|resource| resource.attributes).unwrap_or_default());
        let mut places: HashMap<String, usize> = HashMap::new();
        for wire in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let trace = format!("tr-{}", hex(&wire.trace_id, 16)?);
            let span = span(wire, &trace)?;
            match places.get(&trace).and_then(|place| groups.get_mut(*place)) {
                Some(group) => group.spans.push(span),
                None => {
                    places.insert(trace.clone(), groups.len());
                    groups.push(SpanGroup { trace, resource: resource.clone(), spans: vec![span] });
                }
            }
        }
    }
    Some(groups)
}

fn span(wire: WireSpan, trace: &str) -> Option<Span> {
    let status = wire.status.unwrap_or_default();
    let mut attributes = fields(wire.attributes);
    attributes.set(attribute::TRACE, Json::Text(trace.to_owned()));
    let event = |event: super::message::Event| {
        Some(SpanEvent { name: event.name, at_ns: nanos(event.time_unix_nano)?, attributes: fields(event.attributes) })
    };
    let link = |link: super::message::Link| {
        // Ids of a wrong length come from some clients; the link tells nothing then, and the span still does.
        Some(SpanLink { trace: hex(&link.trace_id, 16)?, span: hex(&link.span_id, 8)?, attributes: fields(link.attributes) })
    };
    Some(Span {
        id: hex(&wire.span_id, 8)?,
        parent: if wire.parent_span_id.is_empty() { None } else { Some(hex(&wire.parent_span_id, 8)?) },
        name: wire.name,
        kind: usize::try_from(wire.kind).ok().and_then(|kind| KINDS.get(kind)).copied().unwrap_or_default().to_owned(),
        status: match status.code {
            1 => SpanStatus::Ok,
            2 => SpanStatus::Error,
            _ => SpanStatus::Unset,
        },
        status_message: status.message,
        start_ns: nanos(wire.start_time_unix_nano)?,
        end_ns: Some(nanos(wire.end_time_unix_nano)?).filter(|end| *end > 0),
        attributes,
        events: wire.events.into_iter().map(event).collect::<Option<_>>()?,
        links: wire.links.into_iter().filter_map(link).collect(),
    })
}

fn nanos(unsigned: u64) -> Option<i64> {
    i64::try_from(unsigned).ok()
}

fn hex(bytes: &[u8], n_bytes: usize) -> Option<String> {
    (bytes.len() == n_bytes).then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn fields(pairs: Vec<KeyValue>) -> Fields {
    pairs.into_iter().map(|pair| (pair.key, json(pair.value))).collect()
}

fn json(value: Option<AnyValue>) -> Json {
    match value.and_then(|value| value.kind) {
        None => Json::Null,
        Some(AnyKind::Text(text)) => Json::Text(text),
        Some(AnyKind::Bool(value)) => Json::Bool(value),
        Some(AnyKind::Int(value)) => Json::Int(value),
        Some(AnyKind::Double(value)) => Json::Float(value),
        Some(AnyKind::Array(array)) => Json::List(array.values.into_iter().map(|value| json(Some(value))).collect()),
        Some(AnyKind::Pairs(pairs)) => Json::Object(fields(pairs.values)),
        Some(AnyKind::Bytes(bytes)) => Json::Text(python_bytes(&bytes)),
    }
}

/// Bytes as Python shows them, which is what MLflow's server keeps of them.
fn python_bytes(bytes: &[u8]) -> String {
    let shown = bytes.iter().map(|byte| match byte {
        b'\\' => "\\\\".to_owned(),
        b'\'' => "\\'".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        0x20..=0x7e => char::from(*byte).to_string(),
        other => format!("\\x{other:02x}"),
    });
    format!("b'{}'", shown.collect::<String>())
}
