"""Traces: by decorator, by hand and by OTLP; their search, tags, assessments and links."""

import gzip
import json
import os
import time

import mlflow
import pytest
import requests
from mlflow.entities import AssessmentSource, Feedback, SpanType
from mlflow_service import landing, refused

pytestmark = landing("traces")
BY_ANA = AssessmentSource("HUMAN", "ana")


@mlflow.trace(span_type=SpanType.CHAIN)
def answer(question: str) -> str:
    with mlflow.start_span("look up", span_type=SpanType.RETRIEVER) as span:
        span.set_inputs({"q": question})
        span.set_outputs(["a", "b"])
        span.set_attribute("depth", 2)
    if question == "bad":
        raise ValueError("no answer")
    return question.upper()


@pytest.fixture
def trace_id(experiment):
    answer("hello")
    mlflow.flush_trace_async_logging()
    return mlflow.get_last_active_trace_id()


def test_a_trace_is_read_back(client, trace_id, experiment):
    trace = mlflow.get_trace(trace_id)
    assert trace.info.trace_location.mlflow_experiment.experiment_id == experiment and trace.info.state == "OK"
    assert trace.info.execution_duration is not None and trace.info.request_time > 1_600_000_000_000
    root, child = sorted(trace.data.spans, key=lambda span: span.parent_id is not None)
    assert (root.name, root.span_type, root.inputs, root.outputs) == ("answer", "CHAIN", {"question": "hello"}, "HELLO")
    assert (child.name, child.parent_id, child.get_attribute("depth"), child.outputs) == ("look up", root.span_id, 2, ["a", "b"])
    assert json.loads(trace.info.request_preview) == {"question": "hello"}


def test_a_trace_that_fails(client, experiment):
    with pytest.raises(ValueError):
        answer("bad")
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
    assert trace.info.state == "ERROR"
    root = next(span for span in trace.data.spans if span.parent_id is None)
    assert root.status.status_code == "ERROR" and any(event.name == "exception" for event in root.events)


def test_search(client, experiment):
    for question in ("a", "b", "c"):
        answer(question)
    with pytest.raises(ValueError):
        answer("bad")
    mlflow.flush_trace_async_logging()
    assert len(mlflow.search_traces(locations=[experiment], return_type="list")) == 4
    assert len(mlflow.search_traces(locations=[experiment], filter_string="status = 'ERROR'", return_type="list")) == 1
    assert len(mlflow.search_traces(locations=[experiment], filter_string="name = 'answer' AND status = 'OK'", return_type="list")) == 3
    assert len(mlflow.search_traces(locations=[experiment], filter_string="span.name = 'look up'", return_type="list")) == 4
    oldest_first = mlflow.search_traces(locations=[experiment], order_by=["timestamp_ms ASC"], return_type="list")
    # Traces of one millisecond come in the order of their ids, which are random.
    times = [trace.info.request_time for trace in oldest_first]
    assert times == sorted(times)
    assert {json.loads(trace.info.request_preview)["question"] for trace in oldest_first} == {"a", "b", "c", "bad"}
    frame = mlflow.search_traces(locations=[experiment], max_results=2)
    assert len(frame) == 2 and {"trace_id", "spans", "request", "response"} <= set(frame.columns)
    page = client.search_traces(locations=[experiment], max_results=3)
    rest = client.search_traces(locations=[experiment], max_results=3, page_token=page.token)
    assert len(page) == 3 and len(rest) == 1


def test_tags_and_metadata(client, experiment, trace_id):
    client.set_trace_tag(trace_id, "k", "v")
    mlflow.set_trace_tag(trace_id, "l", "w")
    assert len(mlflow.search_traces(locations=[experiment], filter_string="tags.k = 'v'", return_type="list")) == 1
    client.delete_trace_tag(trace_id, "k")
    tags = mlflow.get_trace(trace_id).info.tags
    assert tags["l"] == "w" and "k" not in tags

    @mlflow.trace
    def in_session():
        mlflow.update_current_trace(tags={"t": "v"}, metadata={"mlflow.trace.session": "s1", "mlflow.trace.user": "ana"})

    in_session()
    mlflow.flush_trace_async_logging()
    found = mlflow.search_traces(locations=[experiment], filter_string="metadata.`mlflow.trace.session` = 's1'", return_type="list")
    assert len(found) == 1 and found[0].info.tags["t"] == "v"


def test_assessments(client, experiment, trace_id):
    feedback = mlflow.log_feedback(trace_id=trace_id, name="good", value=True, source=BY_ANA, rationale="r")
    expectation = mlflow.log_expectation(trace_id=trace_id, name="answer", value={"a": [1]}, source=BY_ANA)
    assert mlflow.get_assessment(trace_id, expectation.assessment_id).value == {"a": [1]}
    assert len(mlflow.search_traces(locations=[experiment], filter_string="feedback.good = 'true'", return_type="list")) == 1
    mlflow.update_assessment(trace_id, feedback.assessment_id, Feedback(name="good", value=False, rationale="s"))
    found = {one.name: one for one in mlflow.get_trace(trace_id).info.assessments}
    assert found["good"].value is False and found["good"].rationale == "s" and found["answer"].source.source_id == "ana"
    mlflow.override_feedback(trace_id=trace_id, assessment_id=feedback.assessment_id, value=True, source=BY_ANA)
    mlflow.delete_assessment(trace_id, expectation.assessment_id)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        mlflow.get_assessment(trace_id, expectation.assessment_id)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        mlflow.log_feedback(trace_id="tr-" + "0" * 32, name="good", value=True, source=BY_ANA)


def test_traces_of_a_run(client, experiment):
    with mlflow.start_run() as active:
        answer("in a run")
    answer("outside")
    mlflow.flush_trace_async_logging()
    outside = mlflow.get_last_active_trace_id()
    assert len(mlflow.search_traces(locations=[experiment], run_id=active.info.run_id, return_type="list")) == 1
    client.link_traces_to_run([outside], active.info.run_id)
    assert len(mlflow.search_traces(locations=[experiment], run_id=active.info.run_id, return_type="list")) == 2


def test_prompts_of_a_trace(client, experiment, trace_id, name):
    prompt = mlflow.genai.register_prompt(name=name, template="x {{y}}")
    client.link_prompt_versions_to_trace([prompt], trace_id)
    found = mlflow.search_traces(locations=[experiment], filter_string=f"prompt = '{name}/1'", return_type="list")
    assert [trace.info.trace_id for trace in found] == [trace_id]


def test_deleting(client, experiment):
    for number in range(3):
        answer(str(number))
    mlflow.flush_trace_async_logging()
    traces = mlflow.search_traces(locations=[experiment], return_type="list", order_by=["timestamp_ms ASC"])
    assert client.delete_traces(experiment, trace_ids=[traces[0].info.trace_id]) == 1
    assert client.get_trace(traces[1].info.trace_id).data.spans
    with pytest.raises(mlflow.MlflowException):
        client.get_trace(traces[0].info.trace_id)
    assert client.delete_traces(experiment, max_timestamp_millis=int(time.time() * 1000) + 1000, max_traces=10) == 2


def test_a_trace_by_hand(client, experiment):
    root = client.start_trace("by hand", inputs={"x": 1}, tags={"a": "b"}, experiment_id=experiment)
    span = client.start_span("inner", root.trace_id, root.span_id, inputs={"y": 2})
    client.end_span(root.trace_id, span.span_id, outputs={"z": 3}, status="ERROR")
    client.end_trace(root.trace_id, outputs={"done": True})
    mlflow.flush_trace_async_logging()
    trace = client.get_trace(root.trace_id)
    assert {span.name for span in trace.data.spans} == {"by hand", "inner"} and trace.info.tags["a"] == "b"


def otlp(experiment: str, body: bytes, service, **headers):
    sent = {**service.headers, "x-mlflow-experiment-id": experiment, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return requests.post(f"{service.url}/v1/traces", data=body, headers=sent, timeout=30)


def otlp_document(trace_hex: str, n_spans: int = 1) -> dict:
    now = time.time_ns()
    times = {"startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1_000_000)}
    ids = [os.urandom(8).hex() for _ in range(n_spans)]
    texts = [{"key": "gen_ai.system", "value": {"stringValue": "x"}}, {"key": "n", "value": {"intValue": "7"}}]
    spans = [
        {
            "traceId": trace_hex,
            "spanId": ids[number],
            "parentSpanId": ids[0] if number else "",
            "name": "root" if number == 0 else f"s{number}",
            "kind": 1,
            "attributes": texts,
            **times,
        }
        for number in range(n_spans)
    ]
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                "scopeSpans": [{"scope": {"name": "s"}, "spans": spans}],
            }
        ]
    }


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_otlp_in_json(client, experiment, service, coding):
    trace_hex = os.urandom(16).hex()
    body = json.dumps(otlp_document(trace_hex, 5)).encode()
    extra = {"Content_Encoding": "gzip"} if coding == "gzip" else {}
    reply = otlp(experiment, gzip.compress(body) if coding == "gzip" else body, service, Content_Type="application/json", **extra)
    assert reply.status_code == 200, reply.text
    trace = mlflow.get_trace("tr-" + trace_hex)
    assert len(trace.data.spans) == 5 and trace.data.spans[0].name == "root"
    assert any(span.get_attribute("n") == 7 for span in trace.data.spans)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_otlp_in_protobuf(client, experiment, service, coding):
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    raw = os.urandom(16)
    document = otlp_document(raw.hex(), 2)
    import base64

    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for field in ("traceId", "spanId", "parentSpanId"):
            span[field] = base64.b64encode(bytes.fromhex(span[field])).decode()
    body = ParseDict(document, ExportTraceServiceRequest()).SerializeToString()
    extra = {"Content_Encoding": "gzip"} if coding == "gzip" else {}
    reply = otlp(experiment, gzip.compress(body) if coding == "gzip" else body, service, Content_Type="application/x-protobuf", **extra)
    assert reply.status_code == 200, reply.text
    assert len(mlflow.get_trace("tr-" + raw.hex()).data.spans) == 2


def test_otlp_that_is_refused(service, experiment):
    assert requests.post(f"{service.url}/v1/traces", json={}, headers=service.headers, timeout=30).status_code == 422
    assert otlp(experiment, b"{bad", service, Content_Type="application/json").status_code == 400
    assert otlp(experiment, b"\xff\xff", service, Content_Type="application/x-protobuf").status_code == 400
    assert otlp(experiment, b"x", service, Content_Type="application/json", Content_Encoding="gzip").status_code == 400
    assert otlp(experiment, b"x", service, Content_Type="text/plain").status_code == 400


def test_a_trace_of_many_spans(client, experiment, service):
    trace_hex = os.urandom(16).hex()
    reply = otlp(experiment, json.dumps(otlp_document(trace_hex, 2000)).encode(), service, Content_Type="application/json")
    assert reply.status_code == 200, reply.text
    assert len(mlflow.get_trace("tr-" + trace_hex).data.spans) == 2000
