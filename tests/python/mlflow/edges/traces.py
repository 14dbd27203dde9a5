"""Traces by OTLP and by MLflow's own requests, tags, assessments and links."""

from __future__ import annotations

from .edge import V3, delete, experiment, get, patch, post, run

T = V3 + "traces"
MISSING = "tr-" + "00" * 16
HERE = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "$experiment"}}]
OTLP = {"Content-Type": "application/json", "x-mlflow-experiment-id": "$experiment"}


def search(label: str, **more):
    return post(label, T + "/search", {"locations": HERE, **more}, show="traces")


OTLP_EDGES = [
    experiment(),
    post("without the experiment", "/v1/traces", {}),
    post("of nothing", "/v1/traces", {}, headers=OTLP),
    post("of another type", "/v1/traces", raw=b"x", headers={**OTLP, "Content-Type": "text/plain"}),
    post("of no type", "/v1/traces", raw=b"x", headers={"x-mlflow-experiment-id": "$experiment"}, show="status"),
    post("broken JSON", "/v1/traces", raw=b"{bad", headers=OTLP),
    post("broken protobuf", "/v1/traces", raw=b"\xff\xff", headers={**OTLP, "Content-Type": "application/x-protobuf"}),
    post("broken gzip", "/v1/traces", raw=b"xx", headers={**OTLP, "Content-Encoding": "gzip"}),
    post("an unknown coding", "/v1/traces", raw=b"xx", headers={**OTLP, "Content-Encoding": "br"}),
    post("of a missing experiment", "/v1/traces", {"resourceSpans": []}, headers={**OTLP, "x-mlflow-experiment-id": "999999"}),
    post("without spans", "/v1/traces", {"resourceSpans": [{"scopeSpans": []}]}, headers=OTLP),
]

TRACES = [
    experiment(),
    run(),
    post(
        "start",
        T,
        {
            "trace": {
                "trace_info": {
                    "trace_id": "tr-$unique",
                    "trace_location": HERE[0],
                    "request_time": "2023-11-14T22:13:20.250Z",
                    "execution_duration": "0.250s",
                    "state": "OK",
                    "request_preview": "q",
                    "response_preview": "a",
                    "client_request_id": "c-$unique",
                    "tags": {"k": "v"},
                    "trace_metadata": {"m": "n", "mlflow.trace.session": "s1"},
                }
            }
        },
    ),
    post("start without an id", T, {"trace": {"trace_info": {"trace_location": HERE[0]}}}, show="status"),
    post("start without a trace", T, {}, show="status"),
    get("get", T + "/tr-$unique"),
    get("get a missing one", T + "/" + MISSING),
    get("get the spans of a missing one", T + "/get", {"trace_id": MISSING}),
    get("get the spans of none", T + "/get"),
    get("get a batch of a missing one", T + "/batchGet", {"trace_ids": [MISSING]}),
    get("get a batch of none", T + "/batchGet"),
    post("the infos of a batch", T + "/batchGetInfos", {"trace_ids": ["tr-$unique", MISSING]}),
    patch("set a tag", T + "/tr-$unique/tags", {"key": "t", "value": "v"}),
    patch("set a tag as of old", "traces/tr-$unique/tags", {"key": "old", "value": "v"}),
    patch("set a tag of a missing one", T + f"/{MISSING}/tags", {"key": "t", "value": "v"}),
    patch("set a tag without a key", T + "/tr-$unique/tags", {"value": "v"}),
    delete("delete a tag", T + "/tr-$unique/tags", {"key": "t"}),
    delete("delete a missing tag", T + "/tr-$unique/tags", {"key": "t"}),
    delete("delete a tag as of old", "traces/tr-$unique/tags", {"key": "old"}),
    get("get after that", T + "/tr-$unique"),
    post("link to a run", "traces/link-to-run", {"trace_ids": ["tr-$unique"], "run_id": "$run"}),
    post("link to a run again", "traces/link-to-run", {"trace_ids": ["tr-$unique"], "run_id": "$run"}),
    post("link none", "traces/link-to-run", {"trace_ids": [], "run_id": "$run"}),
    post("link 101", "traces/link-to-run", {"trace_ids": [f"tr-{number}" for number in range(101)], "run_id": "$run"}),
    search("by run", filter="run_id = '$run'"),
    *[
        search(f"filter {text}", filter=text)
        for text in [
            "attributes.nope = 'a'",
            "status = 'OK'",
            "status = 'ok'",
            "status != 'ERROR'",
            "attributes.status = 'OK'",
            "trace.status = 'OK'",
            "name = 'x'",
            "timestamp_ms > 0",
            "timestamp > '0'",
            "execution_time_ms > 100",
            "execution_time < 100",
            "request_id = 'tr-$unique'",
            "client_request_id = 'c-$unique'",
            "tags.k = 'v'",
            "tag.k = 'v'",
            "tags.k != 'v'",
            "tags.k LIKE 'v%'",
            "tags.k IS NULL",
            "metadata.m = 'n'",
            "request_metadata.m = 'n'",
            "metadata.`mlflow.trace.session` = 's1'",
            "feedback.q = 'true'",
            "feedback.q IS NOT NULL",
            "expectation.e = 'x'",
            "span.name = 'g'",
            "span.type = 'LLM'",
            "span.attributes.x = 'y'",
            "span.nope = 'g'",
            "foo.bar = 'x'",
            "tags.k = 'v' OR tags.k = 'w'",
            " ",
            "prompt = 'p/1'",
            "text LIKE '%x%'",
            "status IN ('OK')",
            "trace.text LIKE '%x%'",
        ]
    ],
    *[
        search(f"order {text!r}", order_by=[text])
        for text in ["timestamp_ms DESC", "timestamp_ms", "execution_time_ms", "status", "tags.k", "metadata.m", "nope", "name DESC", "foo.bar"]
    ],
    search("501 rows", max_results=501),
    search("no rows", max_results=0),
    search("a bad page token", page_token="!!"),
    post("search nowhere", T + "/search", {}),
    post(
        "search a missing experiment", T + "/search", {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "999999"}}]}
    ),
    post("delete without a choice", "traces/delete-traces", {"experiment_id": "$experiment"}),
    post("delete with two choices", "traces/delete-traces", {"experiment_id": "$experiment", "max_timestamp_millis": 5, "request_ids": ["x"]}),
    post("delete a missing one", "traces/delete-traces", {"experiment_id": "$experiment", "request_ids": [MISSING]}),
    post("delete at most none", T + "/delete-traces", {"experiment_id": "$experiment", "max_timestamp_millis": 5, "max_traces": 0}),
    post("delete one", T + "/delete-traces", {"experiment_id": "$experiment", "request_ids": ["tr-$unique"]}),
    get("get a deleted one", T + "/tr-$unique"),
]


def assessment(**more) -> dict:
    return {"assessment": {"assessment_name": "q", "trace_id": "tr-$unique", "source": {"source_type": "HUMAN", "source_id": "ana"}, **more}}


A = T + "/tr-$unique/assessments"
ASSESSMENTS = [
    experiment(),
    post(
        "start",
        T,
        {"trace": {"trace_info": {"trace_id": "tr-$unique", "trace_location": HERE[0], "request_time": "2023-11-14T22:13:20.250Z", "state": "OK"}}},
        show="status",
    ),
    post("give feedback", A, assessment(feedback={"value": True}), keep={"feedback": "assessment.assessment_id"}),
    post("expect something", A, assessment(assessment_name="e", expectation={"value": "x"}), keep={"expectation": "assessment.assessment_id"}),
    post("give nothing", A, assessment()),
    post(
        "give no name",
        A,
        {"assessment": {"trace_id": "tr-$unique", "source": {"source_type": "HUMAN", "source_id": "ana"}, "feedback": {"value": 1}}},
    ),
    post("give no source", A, {"assessment": {"trace_id": "tr-$unique", "assessment_name": "q", "feedback": {"value": 1}}}),
    post("give feedback to a missing one", T + f"/{MISSING}/assessments", assessment(feedback={"value": True})),
    post("give an error", A, assessment(assessment_name="bad", feedback={"error": {"error_code": "E", "error_message": "m", "stack_trace": "s"}})),
    get("get", A + "/$feedback"),
    get("get a missing one", A + "/a-none"),
    patch("update", A + "/$feedback", {"assessment": {"feedback": {"value": False}, "rationale": "r"}, "update_mask": "feedback,rationale"}),
    patch("update a missing one", A + "/a-none", {"assessment": {"feedback": {"value": False}}, "update_mask": "feedback"}),
    get("the trace with them", T + "/tr-$unique"),
    delete("delete", A + "/$feedback"),
    delete("delete twice", A + "/$feedback"),
    get("get a deleted one", A + "/$feedback"),
]
