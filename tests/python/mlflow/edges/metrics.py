"""Metric points, batches, and the history of a metric."""

from __future__ import annotations

import json

from .edge import AJAX, experiment, get, post, run


def point(value, key="m", step=0, timestamp=1, **more) -> dict:
    return {"run_id": "$run", "key": key, "value": value, "timestamp": timestamp, "step": step, **more}


def log(label: str, *values, **more):
    return post(label, "runs/log-metric", point(*values, **more))


def points(count: int) -> list[dict]:
    return [{"key": f"b{number}", "value": 1, "timestamp": 1, "step": 0} for number in range(count)]


def history(label: str, **query):
    return get(label, "metrics/get-history", {"run_id": "$run", "metric_key": "m", **query})


METRICS = [
    experiment(),
    run(),
    log("NaN as a text", "NaN", "nan"),
    log("infinity as a text", "Infinity", "inf"),
    log("minus infinity as a text", "-Infinity", "ninf"),
    log("a number as a text", "1.5", "text"),
    log("a text that is no number", "abc", "bad"),
    log("null", None, "null"),
    log("a large number", 1e308, "large"),
    log("a whole number", 3, "whole"),
    log("a negative step", 1, "negative", -5),
    log("an unknown field", 1, "unknown", zzz=1),
    log("whole numbers as texts", 1, "texts", "3", "12"),
    log("a step that is no number", 1, "m", "x"),
    log("a float that is whole for a step", 1, "wholestep", 2.0),
    log("a key of 250", 1, "a" * 250),
    log("a key of 251", 1, "a" * 251),
    log("a key that leaves its folder", 1, "a/../b"),
    log("a key with an empty part", 1, "a//b"),
    log("a key that begins with a slash", 1, "/a"),
    log("a key that is a dot", 1, "."),
    log("an odd key", 1, "a b.c-d/e:f"),
    log("a key with a bad character", 1, "a#b"),
    log("an empty key", 1, ""),
    post("no key", "runs/log-metric", {"run_id": "$run", "value": 1, "timestamp": 1}),
    post("no value", "runs/log-metric", {"run_id": "$run", "key": "x", "timestamp": 1}),
    post("no time", "runs/log-metric", {"run_id": "$run", "key": "x", "value": 1}),
    post("no run", "runs/log-metric", {"key": "x", "value": 1, "timestamp": 1}),
    post("no step", "runs/log-metric", {"run_id": "$run", "key": "nostep", "value": 1, "timestamp": 1}),
    post("a missing run", "runs/log-metric", {**point(1), "run_id": "0" * 32}),
    post("the old name of the run's id", "runs/log-metric", {"run_uuid": "$run", "key": "old", "value": 1, "timestamp": 1}),
    post("a bare NaN", "runs/log-metric", raw=json.dumps(point(1, "bare")).replace('"value": 1', '"value": NaN')),
    get("all that was logged", "runs/get", {"run_id": "$run"}),
    post("end the run", "runs/update", {"run_id": "$run", "status": "FINISHED"}),
    log("log to a finished run", 1, "late"),
    log("a truth value", True, "truth"),
    log("a list", [1], "list"),
    log("a step beyond 64 bits", 1, "m", 2**63),
    log("a float for a step", 1, "m", 1.5),
]

LATEST = [
    experiment(),
    run(),
    log("step 1", 2, "m", 1, 1),
    log("the same again", 2, "m", 1, 1),
    log("a lower step later", 9, "m", 0, 99),
    log("the same step, an earlier time", 5, "m", 1, 0),
    log("the same step and time, a lower value", 1, "m", 1, 1),
    log("NaN at the same step and time", "NaN", "m", 1, 1),
    history("the history"),
    get("the latest", "runs/get", {"run_id": "$run"}),
    log("NaN alone", "NaN", "only", 1, 1),
    log("a number after NaN", 1, "only", 1, 1),
    get("the latest of NaN and a number", "runs/get", {"run_id": "$run"}),
]

BATCH = [
    experiment(),
    run(),
    post("an empty one", "runs/log-batch", {"run_id": "$run"}),
    post(
        "of all kinds",
        "runs/log-batch",
        {"run_id": "$run", "metrics": points(2), "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "v"}]},
    ),
    run("large"),
    post("of 1000 metrics", "runs/log-batch", {"run_id": "$large", "metrics": points(1000)}),
    post("of 1001 metrics", "runs/log-batch", {"run_id": "$run", "metrics": points(1001)}),
    post("of 101 parameters", "runs/log-batch", {"run_id": "$run", "params": [{"key": f"q{number}", "value": "1"} for number in range(101)]}),
    post("of 101 tags", "runs/log-batch", {"run_id": "$run", "tags": [{"key": f"q{number}", "value": "1"} for number in range(101)]}),
    post(
        "of 1001 in all",
        "runs/log-batch",
        {"run_id": "$run", "metrics": points(950), "params": [{"key": f"r{number}", "value": "1"} for number in range(51)]},
    ),
    post(
        "with another value of a parameter",
        "runs/log-batch",
        {"run_id": "$run", "metrics": [{"key": "never", "value": 1, "timestamp": 1, "step": 0}], "params": [{"key": "p", "value": "2"}]},
    ),
    post(
        "with a tag without a key",
        "runs/log-batch",
        {"run_id": "$run", "metrics": [{"key": "never", "value": 1, "timestamp": 1, "step": 0}], "tags": [{"key": "", "value": "1"}]},
    ),
    post("with a parameter twice", "runs/log-batch", {"run_id": "$run", "params": [{"key": "twice", "value": "1"}, {"key": "twice", "value": "2"}]}),
    post(
        "with a parameter twice alike",
        "runs/log-batch",
        {"run_id": "$run", "params": [{"key": "alike", "value": "1"}, {"key": "alike", "value": "1"}]},
    ),
    post("with a metric without a time", "runs/log-batch", {"run_id": "$run", "metrics": [{"key": "never", "value": 1}]}),
    post("with a metric without a value", "runs/log-batch", {"run_id": "$run", "metrics": [{"key": "never", "timestamp": 1}]}),
    post("with a metric's key of 251", "runs/log-batch", {"run_id": "$run", "metrics": [{"key": "k" * 251, "value": 1, "timestamp": 1}]}),
    post("with a parameter's value of 6001", "runs/log-batch", {"run_id": "$run", "params": [{"key": "long", "value": "x" * 6001}]}),
    post("with a text for metrics", "runs/log-batch", {"run_id": "$run", "metrics": "x"}),
    post("with a parameter that is a text", "runs/log-batch", {"run_id": "$run", "params": ["x"]}),
    post("without a run", "runs/log-batch", {"metrics": points(1)}),
    post("to a missing run", "runs/log-batch", {"run_id": "0" * 32, "metrics": points(1)}),
    post("empty, to a missing run", "runs/log-batch", {"run_id": "0" * 32}),
    get("what is there after all", "runs/get", {"run_id": "$run"}),
    post("with a bad metric's value", "runs/log-batch", {"run_id": "$run", "metrics": [{"key": "never", "value": "abc", "timestamp": 1}]}),
]

HISTORY = [
    experiment(),
    run(),
    run("other"),
    post(
        "fill",
        "runs/log-batch",
        {"run_id": "$run", "metrics": [{"key": "m", "value": step / 2, "timestamp": 10 + step // 3, "step": step} for step in range(10)]},
    ),
    post(
        "fill another",
        "runs/log-batch",
        {"run_id": "$other", "metrics": [{"key": "m", "value": step, "timestamp": 5, "step": step} for step in range(4)]},
    ),
    post(
        "fill with odd values",
        "runs/log-batch",
        {"run_id": "$other", "metrics": [{"key": "odd", "value": value, "timestamp": 5, "step": 1} for value in ("NaN", "Infinity", "-Infinity", 0)]},
    ),
    history("all"),
    history("odd values", run_id="$other", metric_key="odd"),
    history("the first page", max_results=4),
    history("a page that holds all", max_results=10),
    history("a missing metric", metric_key="none"),
    history("no rows", max_results=0),
    history("a negative number of rows", max_results=-1),
    history("a bad page token", page_token="zzz"),
    history("a missing run", run_id="f" * 32),
    get("no key", "metrics/get-history", {"run_id": "$run"}),
    get("no run", "metrics/get-history", {"metric_key": "m"}),
    get("the old name of the id", "metrics/get-history", {"run_uuid": "$run", "metric_key": "m", "max_results": 2}),
    get("many runs", AJAX + "metrics/get-history-bulk", {"run_id": ["$run", "$other"], "metric_key": "m"}, show="points"),
    get("few rows in bulk", AJAX + "metrics/get-history-bulk", {"run_id": ["$run"], "metric_key": "m", "max_results": 3}),
    get("many runs, no run", AJAX + "metrics/get-history-bulk", {"metric_key": "m"}),
    get("many runs, no key", AJAX + "metrics/get-history-bulk", {"run_id": "$run"}),
    get("101 runs", AJAX + "metrics/get-history-bulk", {"run_id": [f"{number:032}" for number in range(101)], "metric_key": "m"}),
    get("a sample", AJAX + "metrics/get-history-bulk-interval", {"run_ids": ["$run"], "metric_key": "m", "max_results": 4}),
    get("a sample that holds all", AJAX + "metrics/get-history-bulk-interval", {"run_ids": ["$run"], "metric_key": "m", "max_results": 40}),
    get("a sample of one", AJAX + "metrics/get-history-bulk-interval", {"run_ids": ["$run"], "metric_key": "m", "max_results": 1}),
    get("a sample of two runs", AJAX + "metrics/get-history-bulk-interval", {"run_ids": ["$run", "$other"], "metric_key": "m", "max_results": 3}),
    get("a sample of odd values", AJAX + "metrics/get-history-bulk-interval", {"run_ids": ["$other"], "metric_key": "odd", "max_results": 5}),
    get(
        "a sample between steps",
        AJAX + "metrics/get-history-bulk-interval",
        {"run_ids": ["$run"], "metric_key": "m", "start_step": 2, "end_step": 6, "max_results": 3},
    ),
    get("a sample with a start alone", AJAX + "metrics/get-history-bulk-interval", {"run_ids": ["$run"], "metric_key": "m", "start_step": 2}),
    get(
        "a sample from after its end",
        AJAX + "metrics/get-history-bulk-interval",
        {"run_ids": ["$run"], "metric_key": "m", "start_step": 6, "end_step": 2},
    ),
    get("a sample of 2501", AJAX + "metrics/get-history-bulk-interval", {"run_ids": ["$run"], "metric_key": "m", "max_results": 2501}),
    get("a sample of none", AJAX + "metrics/get-history-bulk-interval", {"run_ids": ["$run"], "metric_key": "m", "max_results": 0}),
    get("a sample without runs", AJAX + "metrics/get-history-bulk-interval", {"metric_key": "m"}),
    get("a sample without a key", AJAX + "metrics/get-history-bulk-interval", {"run_ids": ["$run"]}),
]
