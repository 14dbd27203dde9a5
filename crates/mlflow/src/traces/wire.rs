//! Traces, spans and assessments as MLflow writes them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lw_core::{Span as TimeSpan, Timestamp};
use lw_traces::{Assessment, AssessmentValue, Fields, Json, Span, SpanEvent, SpanLink, SpanStatus, Trace, TraceState};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// Tags that the server sets and no client does.
pub(super) const ARTIFACT_LOCATION: &str = "mlflow.artifactLocation";
pub(super) const SPANS_LOCATION: &str = "mlflow.trace.spansLocation";
/// Metadata that say that the client has told the whole trace's facts.
pub(super) const IS_FINAL: &str = "mlflow.trace.infoFinalized";

/// A time as protobuf writes it: whole seconds, or milliseconds in three digits.
pub(super) fn time(time: Timestamp) -> String {
    let whole = Timestamp::from_millis(time.micros().div_euclid(1000)).to_string();
    match whole.strip_suffix('Z').and_then(|text| text.split_once('.')) {
        // Milliseconds stand in three digits.
        Some((seconds, fraction)) => format!("{seconds}.{fraction:0<3}Z"),
        None => whole,
    }
}

/// A duration as protobuf writes it: `1s`, `1.500s`.
pub(super) fn duration(duration: TimeSpan) -> String {
    let millis = duration.micros().div_euclid(1000);
    let (sign, millis) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
    match millis % 1000 {
        0 => format!("{sign}{}s", millis / 1000),
        rest => format!("{sign}{}.{rest:03}s", millis / 1000),
    }
}

/// A trace's tags with those that the server adds.
pub(super) fn tags(trace: &Trace) -> BTreeMap<String, String> {
    let mut tags = trace.facts.tags.clone();
    let location = format!("mlflow-artifacts:/{}/traces/{}/artifacts", trace.facts.experiment, trace.id);
    tags.insert(ARTIFACT_LOCATION.to_owned(), location);
    if trace.has_spans() {
        tags.insert(SPANS_LOCATION.to_owned(), "TRACKING_STORE".to_owned());
    }
    tags
}

pub(super) fn metadata(trace: &Trace) -> BTreeMap<String, String> {
    let mut metadata = trace.facts.metadata.clone();
    if trace.facts.is_final {
        metadata.insert(IS_FINAL.to_owned(), "true".to_owned());
    }
    metadata
}

/// `TraceInfoV3`.
pub(super) fn info(trace: &Trace) -> Value {
    let mut info = Map::new();
    let mut set = |name: &str, value: Value| drop(info.insert(name.to_owned(), value));
    set("trace_id", json!(trace.id));
    let location =
        json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": trace.facts.experiment.to_string()}});
    set("trace_location", location);
    set("request_time", json!(time(trace.facts.started_at)));
    set("state", json!(trace.facts.state.name()));
    set("tags", json!(tags(trace)));
    let optional = [
        ("client_request_id", &trace.facts.client_request_id),
        ("request_preview", &trace.facts.request_preview),
        ("response_preview", &trace.facts.response_preview),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            set(name, json!(text));
        }
    }
    if let Some(length) = trace.facts.duration {
        set("execution_duration", json!(duration(length)));
    }
    let metadata = metadata(trace);
    if !metadata.is_empty() {
        set("trace_metadata", json!(metadata));
    }
    if !trace.assessments.is_empty() {
        set("assessments", trace.assessments.iter().map(assessment).collect());
    }
    Value::Object(info)
}

/// `TraceInfo`, as clients before MLflow 3 know it.
pub(super) fn old_info(trace: &Trace) -> Value {
    let pairs = |pairs: BTreeMap<String, String>| -> Vec<Value> {
        pairs.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
    };
    let status = match trace.facts.state {
        TraceState::Unspecified => "TRACE_STATUS_UNSPECIFIED",
        state => state.name(),
    };
    let mut info = json!({
        "request_id": trace.id,
        "experiment_id": trace.facts.experiment.to_string(),
        "timestamp_ms": trace.facts.started_at.millis(),
        "execution_time_ms": trace.facts.duration.map_or(0, |length| length.micros().div_euclid(1000)),
        "status": status,
        "tags": pairs(tags(trace)),
    });
    let metadata = pairs(metadata(trace));
    if !metadata.is_empty() {
        info["request_metadata"] = metadata.into();
    }
    info
}

pub(super) fn assessment(assessment: &Assessment) -> Value {
    let mut source = json!({"source_type": assessment.source_type.name()});
    if let Some(id) = &assessment.source_id {
        source["source_id"] = json!(id);
    }
    let mut wire = json!({
        "assessment_id": assessment.id,
        "assessment_name": assessment.name,
        "trace_id": assessment.trace,
        "source": source,
        "create_time": time(assessment.created_at),
        "last_update_time": time(assessment.updated_at),
        "valid": assessment.is_valid,
    });
    let (kind, value) = match &assessment.value {
        AssessmentValue::Issue { name } => ("issue", json!({"issue_name": name})),
        AssessmentValue::Expectation { value: value @ (Json::List(_) | Json::Object(_)) } => {
            ("expectation", json!({"serialized_value": {"serialization_format": "JSON_FORMAT", "value": value.dumped()}}))
        }
        AssessmentValue::Expectation { value } => ("expectation", json!({"value": value})),
        AssessmentValue::Feedback { value, error } => {
            let mut feedback = json!({"value": value});
            if let Some(error) = error {
                let mut told = json!({"error_code": error.error_code});
                for (name, text) in [("error_message", &error.error_message), ("stack_trace", &error.stack_trace)] {
                    if let Some(text) = text {
                        told[name] = json!(text);
                    }
                }
                feedback["error"] = told;
            }
            ("feedback", feedback)
        }
    };
    wire[kind] = value;
    let optional = [("span_id", &assessment.span), ("rationale", &assessment.rationale), ("overrides", &assessment.overrides)];
    for (name, text) in optional {
        if let Some(text) = text {
            wire[name] = json!(text);
        }
    }
    if !assessment.metadata.is_empty() {
        wire["metadata"] = json!(assessment.metadata);
    }
    wire
}

/// A trace with its spans, written span by span: a trace may have tens of thousands.
pub(super) struct WholeTrace<'a> {
    pub trace: &'a Trace,
    pub spans: &'a [Span],
}

impl<'a> WholeTrace<'a> {
    pub fn of((trace, spans): &'a (Trace, Vec<Span>)) -> Self {
        Self { trace, spans }
    }
}

impl Serialize for WholeTrace<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("trace_info", &info(self.trace))?;
        if !self.spans.is_empty() {
            let trace = STANDARD.encode(bytes_of_hex(self.trace.id.strip_prefix("tr-").unwrap_or(&self.trace.id)));
            map.serialize_entry("spans", &List(self.spans, |span| WireSpan { trace: &trace, span }))?;
        }
        map.end()
    }
}

/// A list written item by item.
pub(super) struct List<'a, T, F>(pub &'a [T], pub F);

impl<'a, T, F, W> Serialize for List<'a, T, F>
where
    F: Fn(&'a T) -> W,
    W: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|item| list.serialize_element(&(self.1)(item)))?;
        list.end()
    }
}

struct WireSpan<'a> {
    trace: &'a str,
    span: &'a Span,
}

impl Serialize for WireSpan<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let span = self.span;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("trace_id", self.trace)?;
        map.serialize_entry("span_id", &STANDARD.encode(bytes_of_hex(&span.id)))?;
        if let Some(parent) = &span.parent {
            map.serialize_entry("parent_span_id", &STANDARD.encode(bytes_of_hex(parent)))?;
        }
        map.serialize_entry("name", &span.name)?;
        map.serialize_entry("start_time_unix_nano", &span.start_ns)?;
        if let Some(end) = span.end_ns {
            map.serialize_entry("end_time_unix_nano", &end)?;
        }
        if !span.attributes.0.is_empty() {
            map.serialize_entry("attributes", &Pairs(&span.attributes))?;
        }
        if !span.events.is_empty() {
            map.serialize_entry("events", &List(&span.events, WireEvent))?;
        }
        if !span.links.is_empty() {
            map.serialize_entry("links", &List(&span.links, WireLink))?;
        }
        map.serialize_entry("status", &status(span))?;
        map.end()
    }
}

fn status(span: &Span) -> Value {
    let code = match span.status {
        SpanStatus::Unset => "STATUS_CODE_UNSET",
        SpanStatus::Ok => "STATUS_CODE_OK",
        SpanStatus::Error => "STATUS_CODE_ERROR",
    };
    match span.status_message.is_empty() {
        true => json!({"code": code}),
        false => json!({"code": code, "message": span.status_message}),
    }
}

struct WireEvent<'a>(&'a SpanEvent);

impl Serialize for WireEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time_unix_nano", &self.0.at_ns)?;
        map.serialize_entry("name", &self.0.name)?;
        if !self.0.attributes.0.is_empty() {
            map.serialize_entry("attributes", &Pairs(&self.0.attributes))?;
        }
        map.end()
    }
}

struct WireLink<'a>(&'a SpanLink);

impl Serialize for WireLink<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("trace_id", &STANDARD.encode(bytes_of_hex(&self.0.trace)))?;
        map.serialize_entry("span_id", &STANDARD.encode(bytes_of_hex(&self.0.span)))?;
        if !self.0.attributes.0.is_empty() {
            map.serialize_entry("attributes", &Pairs(&self.0.attributes))?;
        }
        map.end()
    }
}

/// Names with values as OpenTelemetry's `KeyValue`s.
struct Pairs<'a>(&'a Fields);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        List(&self.0.0, Pair).serialize(serializer)
    }
}

struct Pair<'a>(&'a (String, Json));

impl Serialize for Pair<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let (key, value) = self.0;
        map.serialize_entry("key", key)?;
        if *value != Json::Null {
            map.serialize_entry("value", &Any(value))?;
        }
        map.end()
    }
}

/// OpenTelemetry's `AnyValue`.
struct Any<'a>(&'a Json);

impl Serialize for Any<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Json::Null => {}
            Json::Bool(value) => map.serialize_entry("bool_value", value)?,
            Json::Int(value) => map.serialize_entry("int_value", value)?,
            // Protobuf writes what is no number as text.
            Json::Float(_) => map.serialize_entry("double_value", self.0)?,
            Json::Text(text) => map.serialize_entry("string_value", text)?,
            Json::List(items) => map.serialize_entry("array_value", &Values(items))?,
            Json::Object(fields) => map.serialize_entry("kvlist_value", &PairValues(fields))?,
        }
        map.end()
    }
}

struct Values<'a>(&'a [Json]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.0.is_empty() {
            map.serialize_entry("values", &List(self.0, Any))?;
        }
        map.end()
    }
}

struct PairValues<'a>(&'a Fields);

impl Serialize for PairValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.0.0.is_empty() {
            map.serialize_entry("values", &Pairs(self.0))?;
        }
        map.end()
    }
}

fn bytes_of_hex(text: &str) -> Vec<u8> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.unwrap_or_default();
    digits.chunks_exact(2).map(|pair| pair.iter().fold(0_u8, |byte, digit| byte << 4 | *digit as u8)).collect()
}
