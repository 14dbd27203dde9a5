"""Servers for the tests with MLflow's own client, and what each such test needs. tests/python/conftest.py takes the fixtures in.

The client is MLflow's, unmodified. So that a wrong test is found, the same tests run against MLflow's own server, too:

    MLFLOW_TEST_ORACLE=http://127.0.0.1:5000 pytest tests/python/mlflow       a running `mlflow server`
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import urllib.parse
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Project, Server

# A running server of ours that asks for no token: `MLFLOW_TEST_URL=http://127.0.0.1:8760 pytest tests/python/mlflow`.
RUNNING = os.environ.get("MLFLOW_TEST_URL", "")
ORACLE = os.environ.get("MLFLOW_TEST_ORACLE", "")
POSTGRES = os.environ.get("LOOPWRIGHT_TEST_POSTGRES", "")
STORES = ["stock"] if ORACLE else ["running"] if RUNNING else ["sqlite", *(["postgres"] if POSTGRES else [])]
# What the server does not serve yet. Each goes off this list as it lands.
PENDING: set[str] = set()
# The client tries seven times and longer each time; a test that meets a 500 is to fail at once. It tells nobody what it is used for, and
# guesses no requirements: for that it starts a Python of its own for each model.
CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass
class Service:
    """A server that MLflow's client is pointed at."""

    url: str
    token: str | None
    folder: Path | None = None
    server: Server | None = None

    @property
    def is_ours(self) -> bool:
        return not ORACLE

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@contextlib.contextmanager
def postgres_database():
    """An empty database of its own on the test's PostgreSQL."""
    name = f"mlflow_{uuid.uuid4().hex[:12]}"
    psql = shutil.which("psql") or next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))), "psql")

    def execute(statement: str) -> None:
        subprocess.run([psql, POSTGRES, "-qc", statement], check=True, capture_output=True, timeout=60)

    execute(f"CREATE DATABASE {name}")
    try:
        address = urllib.parse.urlsplit(POSTGRES)
        yield urllib.parse.urlunsplit(address._replace(path=f"/{name}"))
    finally:
        execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def started(folder: Path, *arguments: str):
    """A server on an empty project."""
    project = Project(folder / "project")
    project.root.mkdir()
    server = Server(project, *arguments)
    try:
        yield Service(server.url, server.token(), project.root, server)
    finally:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="module", params=STORES)
def service(request, tmp_path_factory):
    """A server for the tests of one file: ours on an empty workspace, on SQLite and on PostgreSQL; or MLflow's."""
    if request.param == "stock":
        yield Service(ORACLE, None)
        return
    if request.param == "running":
        yield Service(RUNNING, None)
        return
    folder = tmp_path_factory.mktemp("mlflow")
    with contextlib.ExitStack() as stack:
        arguments = ["--metadata", stack.enter_context(postgres_database())] if request.param == "postgres" else []
        yield stack.enter_context(started(folder, *arguments))


@contextlib.contextmanager
def pointed_at(url: str, token: str | None):
    """MLflow's client set to a server, by the variables that its users set."""
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {**CLIENT, "MLFLOW_TRACKING_URI": url, "MLFLOW_TRACKING_TOKEN": token}.items():
            if value is None:
                patch.delenv(variable, raising=False)
            else:
                patch.setenv(variable, value)
        mlflow.set_tracking_uri(url)
        mlflow.set_registry_uri(url)
        yield url
        while mlflow.active_run():
            mlflow.end_run()
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)


@pytest.fixture(scope="module")
def uri(service):
    """The tracking URI, with the client set to it for the tests of one file."""
    with pointed_at(service.url, service.token) as url:
        yield url


@pytest.fixture(scope="module")
def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


@pytest.fixture
def name(request):
    """A name that no other test has."""
    return f"{request.node.originalname.removeprefix('test_')}-{time.time_ns()}"


@pytest.fixture
def experiment(client, name):
    """The id of a fresh experiment, which the fluent functions log to."""
    import mlflow

    experiment_id = client.create_experiment(name)
    mlflow.set_experiment(experiment_id=experiment_id)
    yield experiment_id
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def run(client, experiment):
    """The id of a fresh run."""
    return client.create_run(experiment).info.run_id


def landing(part: str):
    """Marks the tests of a part of the protocol, which are skipped while the server lacks it."""
    return pytest.mark.skipif(part in PENDING and not ORACLE, reason=f"{part} are not served yet")


@contextlib.contextmanager
def refused(code: str, *texts: str):
    """Expects the client to be refused with an error of MLflow's, and each text in its message."""
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as caught:
        yield
    assert caught.value.error_code == code, caught.value
    for text in texts:
        assert text in str(caught.value)
