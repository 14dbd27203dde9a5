"""Every call of MLflow's client and of its fluent functions is in one of these tests, or on the list of what is not served."""

import re
from pathlib import Path

import mlflow.tracking.fluent
from mlflow import MlflowClient

NOT_SERVED = re.compile("workspace|mcp|skill|label_schema|review_queue|issue|gateway|import_checkpoints")
# What does not ask the server, or only through a call that is tested under another name.
# Traces are unlinked in Databricks alone; a webhook on trial needs an address in the open Internet.
OF_ONESELF = {
    "unlink_traces_from_run",
    "test_webhook",
    "tracking_uri",
    "parse_prompt_uri",
    "active_run",
    "flush_artifact_async_logging",
    "to_string",
    "run_id_to_summary_dict",
}
SOURCES = "\n".join(path.read_text() for path in Path(__file__).resolve().parent.glob("test_*.py") if path.name != "test_coverage.py")


def is_tested(name: str) -> bool:
    return re.search(rf"\b(client|store|mlflow|reader|writer|viewer|as_caller\(.*\))\.{name}\b|\b{name}\(", SOURCES) is not None


def test_every_method_of_the_client():
    methods = {name for name in dir(MlflowClient) if not name.startswith("_")}
    untested = {name for name in methods if not NOT_SERVED.search(name) and name not in OF_ONESELF and not is_tested(name)}
    assert sorted(untested) == []


def test_every_fluent_function():
    functions = {
        name
        for name, value in vars(mlflow.tracking.fluent).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", "") == "mlflow.tracking.fluent" and name[0].islower()
    }
    untested = {name for name in functions if not NOT_SERVED.search(name) and name not in OF_ONESELF and not is_tested(name)}
    assert sorted(untested) == []
