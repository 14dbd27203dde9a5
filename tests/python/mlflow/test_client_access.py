"""Who the client is: tokens, basic authentication, and what a role may not do."""

import pytest
import requests
from mlflow import MlflowClient, MlflowException
from mlflow_service import Service

CREDENTIALS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


@pytest.fixture
def ours(service) -> Service:
    if not service.token:
        pytest.skip("this server asks for no token")
    return service


@pytest.fixture
def as_caller(uri, monkeypatch):
    """A client with other credentials."""

    def become(**credentials: str) -> MlflowClient:
        for variable in CREDENTIALS:
            monkeypatch.delenv(variable, raising=False)
        for variable, value in credentials.items():
            monkeypatch.setenv(f"MLFLOW_TRACKING_{variable.upper()}", value)
        return MlflowClient(uri, uri)

    return become


def token_of(ours: Service, who: str, role: str) -> str:
    project = ours.server.project
    project.run("identity", "create", who, "--role", role)
    return project.run("token", "create", who, "--label", "test", "--expires", "1h").stdout.strip()


def test_a_token_of_ones_own(ours, as_caller, name):
    writer = as_caller(token=token_of(ours, "wim", "engineer"))
    run = writer.create_run(writer.create_experiment(name))
    assert run.info.status == "RUNNING"


def test_a_name_and_the_token_as_password(ours, as_caller, name):
    assert as_caller(username="ana", password=ours.token).create_experiment(name)


def test_no_token_and_a_wrong_one(ours, as_caller):
    for credentials in ({}, {"token": "lw_wrong"}, {"username": "ana", "password": "wrong"}):
        with pytest.raises(MlflowException, match="401|[Uu]nauth|token"):
            as_caller(**credentials).search_experiments()
    answer = requests.get(f"{ours.url}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=30)
    assert answer.status_code == 401 and answer.json()["error_code"] == "UNAUTHENTICATED"


def test_a_viewer_reads_and_does_not_write(ours, as_caller, name):
    viewer = as_caller(token=token_of(ours, "vera", "viewer"))
    assert viewer.get_experiment("0").name == "Default"
    with pytest.raises(MlflowException) as caught:
        viewer.create_experiment(name)
    assert caught.value.error_code == "PERMISSION_DENIED"


def test_what_the_server_says_of_itself_is_open(service):
    for path in ("/health", "/version"):
        assert requests.get(service.url + path, timeout=30).status_code == 200
    info = requests.get(f"{service.url}/api/3.0/mlflow/server-info", headers=service.headers, timeout=30).json()
    assert info["artifact_serving_enabled"] is True and info["workspaces_enabled"] is False
