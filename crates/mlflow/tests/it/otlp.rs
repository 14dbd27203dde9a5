//! `POST /v1/traces`.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use lw_traces::{Json, metadata};
use serde_json::{Value, json};

use crate::traced::{Traced, traced};

const PROTOBUF: &str = "application/x-protobuf";

/// A field of protobuf: its number, its wire type and its bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    [field, bytes.to_vec()].concat()
}

fn fixed(number: u8, value: u64) -> Vec<u8> {
    [vec![number << 3 | 1], value.to_le_bytes().to_vec()].concat()
}

fn text(key: &str, value: &str) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat()
}

fn span(trace: [u8; 16], n: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let id = |n: u8| [0, 0, 0, 0, 0, 0, 0, n];
    let mut span = [field(1, &trace), field(2, &id(n))].concat();
    if n > 1 {
        span.extend(field(4, &id(1)));
    }
    span.extend(field(5, format!("span{n}").as_bytes()));
    span.extend([fixed(7, 1_700_000_000_000_000_000 + u64::from(n)), fixed(8, 1_700_000_001_000_000_000)].concat());
    attributes.iter().for_each(|attribute| span.extend(field(9, attribute)));
    span.extend(field(15, &[3 << 3, 1]));
    span
}

fn request(resource: &[Vec<u8>], spans: &[Vec<u8>]) -> Vec<u8> {
    let resource: Vec<u8> = resource.iter().flat_map(|attribute| field(1, attribute)).collect();
    let scope: Vec<u8> = spans.iter().flat_map(|span| field(2, span)).collect();
    field(1, &[field(1, &resource), field(2, &scope)].concat())
}

fn headers<'a>(world: &'a Traced, media_type: &'a str) -> [(&'a str, &'a str); 2] {
    [("x-mlflow-experiment-id", &world.experiment), ("content-type", media_type)]
}

#[test]
fn spans_come_as_protobuf() {
    traced(async |world| {
        let attributes = [text("mlflow.spanType", "\"LLM\""), text("mlflow.spanInputs", "{\"q\": \"what\", \"a\": 1}")];
        let body = request(
            &[text("service.name", "svc"), text("telemetry.sdk.language", "python"), text("mlflow.x", "y")],
            &[span([0xbb; 16], 1, &attributes), span([0xbb; 16], 2, &[text("plain", "text é")])],
        );
        let (status, media_type, answer) = world.export(&headers(&world, PROTOBUF), body).await;
        assert_eq!((status, media_type.as_str(), answer.len()), (200, PROTOBUF, 0));
        let id = format!("tr-{}", "bb".repeat(16));
        let trace = world.got(&format!("3.0/mlflow/traces/{id}")).await;
        let info = &trace["trace"]["trace_info"];
        assert_eq!(info["request_time"], "2023-11-14T22:13:20Z");
        assert_eq!((&info["execution_duration"], &info["state"]), (&json!("1s"), &json!("OK")));
        assert_eq!(info["request_preview"], r#"{"q": "what", "a": 1}"#);
        assert_eq!(
            info["tags"],
            json!({"service.name": "svc", "mlflow.trace.spansLocation": "TRACKING_STORE",
                   "mlflow.artifactLocation": format!("mlflow-artifacts:/{}/traces/{id}/artifacts", world.experiment)})
        );
        let whole = world.got(&format!("3.0/mlflow/traces/get?trace_id={id}")).await;
        let spans = whole["trace"]["spans"].as_array().unwrap();
        assert_eq!(
            spans[0],
            json!({"trace_id": "u7u7u7u7u7u7u7u7u7u7uw==", "span_id": "AAAAAAAAAAE=", "name": "span1",
                   "start_time_unix_nano": 1_700_000_000_000_000_001_u64, "end_time_unix_nano": 1_700_000_001_000_000_000_u64,
                   "attributes": [
                       {"key": "mlflow.spanType", "value": {"string_value": "LLM"}},
                       {"key": "mlflow.spanInputs", "value": {"kvlist_value": {"values": [
                           {"key": "q", "value": {"string_value": "what"}}, {"key": "a", "value": {"int_value": 1}}]}}},
                       {"key": "mlflow.traceRequestId", "value": {"string_value": id}}],
                   "status": {"code": "STATUS_CODE_OK"}})
        );
        assert_eq!((&spans[1]["parent_span_id"], spans.len()), (&json!("AAAAAAAAAAE="), 2));
        let batch = world.got(&format!("3.0/mlflow/traces/batchGet?trace_ids={id}&trace_ids=nope")).await;
        assert_eq!(batch["traces"], json!([whole["trace"]]));
        let artifact = axum::http::Request::get(format!("/ajax-api/2.0/mlflow/get-trace-artifact?request_id={id}"));
        let (_, _, artifact) = world.send(artifact.body(axum::body::Body::empty()).unwrap()).await;
        let artifact = String::from_utf8(artifact).unwrap();
        let first = r#"{"spans":[{"trace_id": "u7u7u7u7u7u7u7u7u7u7uw==", "span_id": "AAAAAAAAAAE=", "parent_span_id": null, "name": "span1""#;
        assert!(artifact.starts_with(first) && artifact.contains(r#""plain": "\"text é\"""#), "{artifact}");
    });
}

#[test]
fn spans_come_as_json() {
    traced(async |world| {
        let body = json!({"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "x"}, "spans": [{
            "traceId": "ee".repeat(16), "spanId": "11".repeat(8), "parentSpanId": "", "name": "j", "kind": "SPAN_KIND_CLIENT",
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": 1_700_000_002_000_000_000_u64, "flags": 1,
            "status": {"code": 2, "message": "bad"},
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}},
                {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 3}},
                {"key": "x", "value": {"arrayValue": {"values": [{"doubleValue": 0.5}, {"boolValue": true}, {}]}}},
                {"key": "bytes", "value": {"bytesValue": "YWI="}}],
            "events": [{"timeUnixNano": "5", "name": "e", "attributes": [{"key": "k", "value": {"stringValue": "v"}}]}],
            "links": [{"traceId": "cc".repeat(16), "spanId": "dd".repeat(8)}]}]}]}]});
        let (status, media_type, answer) =
            world.export(&headers(&world, "application/json; charset=utf-8"), body.to_string()).await;
        assert_eq!((status, media_type.as_str(), answer.as_slice()), (200, "application/json", &b"{}"[..]));
        let id = format!("tr-{}", "ee".repeat(16));
        let (trace, spans) = world.traces.trace_with_spans(&id).await.unwrap();
        assert_eq!(trace.facts.metadata[metadata::TOKEN_USAGE], r#"{"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}"#);
        assert_eq!((trace.facts.state.name(), spans[0].kind.as_str(), spans[0].span_type()), ("ERROR", "CLIENT", "CHAT_MODEL"));
        assert_eq!(spans[0].attributes.get("x").unwrap().dumped(), "[0.5, true, null]");
        assert_eq!(spans[0].attributes.get("bytes"), Some(&Json::Text("b'ab'".to_owned())));
        assert_eq!((spans[0].events.len(), spans[0].links.len()), (1, 1));
    });
}

#[test]
fn compressed_spans_are_unpacked_within_limits() {
    traced(async |world| {
        let plain = |n: u8| request(&[], &[span([n; 16], 1, &[])]);
        let gzip = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&plain(2)).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&plain(3)).unwrap();
        let send = async |encoding: &str, body: Vec<u8>| {
            let [experiment, media_type] = headers(&world, PROTOBUF);
            let (status, _, body) = world.export(&[experiment, media_type, ("content-encoding", encoding)], body).await;
            (status, String::from_utf8_lossy(&body).into_owned())
        };
        for (encoding, body) in
            [("gzip", gzip(&plain(1))), ("deflate", zlib.finish().unwrap()), ("deflate", raw.finish().unwrap())]
        {
            assert_eq!(send(encoding, body).await, (200, String::new()), "{encoding}");
        }
        assert_eq!(send("gzip", plain(4)).await, (400, r#"{"detail":"Failed to decompress gzip payload"}"#.to_owned()));
        assert_eq!(send("br", plain(4)).await, (400, r#"{"detail":"Unsupported Content-Encoding: br"}"#.to_owned()));
        let bomb = gzip(&vec![0; 200 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(send("gzip", bomb).await.0, 413);
    });
}

#[test]
fn what_is_no_export_is_declined_in_the_words_of_mlflow() {
    traced(async |world| {
        let good = request(&[], &[span([1; 16], 1, &[])]);
        let json_with = |field: &str, value: Value| {
            let mut span = json!({"traceId": "ee".repeat(16), "spanId": "11".repeat(8), "name": "j"});
            span[field] = value;
            json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string().into_bytes()
        };
        let experiment = world.experiment.as_str();
        let (json, invalid) = ("application/json", "Invalid OpenTelemetry format");
        let cannot = "Cannot convert OpenTelemetry span to MLflow span";
        let cases: Vec<(u16, &str, Option<&str>, Vec<u8>)> = vec![
            (400, "Invalid Content-Type: None. Expected: application/x-protobuf or application/json", None, good.clone()),
            (
                400,
                "Invalid Content-Type: text/plain. Expected: application/x-protobuf or application/json",
                Some("text/plain"),
                good.clone(),
            ),
            (400, "Invalid OpenTelemetry format - no spans found", Some(PROTOBUF), Vec::new()),
            (400, invalid, Some(PROTOBUF), b"garbage!!".to_vec()),
            (400, invalid, Some(json), b"{bad".to_vec()),
            (400, "Invalid OpenTelemetry format - no spans found", Some(json), br#"{"resourceSpans": []}"#.to_vec()),
            (400, invalid, Some(json), json_with("traceId", json!("zz"))),
            (422, cannot, Some(json), json_with("traceId", json!(null))),
            (422, cannot, Some(json), json_with("spanId", json!("11"))),
        ];
        for (status, detail, media_type, body) in cases {
            let mut headers = vec![("x-mlflow-experiment-id", experiment)];
            headers.extend(media_type.map(|media_type| ("content-type", media_type)));
            let (got, _, answer) = world.export(&headers, body).await;
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!((got, &answer["detail"]), (status, &json!(detail)));
        }
        let (status, _, answer) = world.export(&[("content-type", PROTOBUF)], good.clone()).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!((status, &answer["detail"][0]["msg"]), (422, &json!("Field required")));
        // Nothing of a request with one span too many is kept.
        let (status, _, answer) = world.export(&[("content-type", PROTOBUF), ("x-mlflow-experiment-id", "999")], good).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!((status, &answer["message"]), (404, &json!("No Experiment with id=999 exists")));
        assert!(world.traces.trace(&format!("tr-{}", "01".repeat(16))).await.is_err());
        let nothing = br#"{"resourceSpans": [{"scopeSpans": []}]}"#.to_vec();
        assert_eq!(world.export(&headers(&world, json), nothing).await.0, 200);
    });
}
