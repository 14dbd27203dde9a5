"""What the client is told when a request is wrong. Never a 500, which it would send again for four minutes."""

import mlflow
import pytest
import requests
from mlflow.entities import Metric, Param, RunTag
from mlflow_service import refused

MISSING = "0" * 32


def test_what_is_not_there(client):
    for ask in (
        lambda: client.get_run(MISSING),
        lambda: client.log_metric(MISSING, "m", 1),
        lambda: client.log_param(MISSING, "p", 1),
        lambda: client.set_tag(MISSING, "t", 1),
        lambda: client.delete_run(MISSING),
        lambda: client.restore_run(MISSING),
        lambda: client.set_terminated(MISSING),
        lambda: client.log_batch(MISSING, metrics=[Metric("m", 1, 1, 0)]),
        lambda: client.list_artifacts(MISSING),
        lambda: client.get_logged_model("m-" + MISSING),
        lambda: client.get_registered_model("nope"),
        lambda: client.get_model_version("nope", "1"),
        lambda: client.create_model_version("nope", "s3://bucket/model"),
        lambda: client.delete_registered_model("nope"),
    ):
        with refused("RESOURCE_DOES_NOT_EXIST"):
            ask()


def test_too_many_at_once(client, run):
    store = client._tracking_client.store
    for metrics, params, tags in [
        ([Metric(f"m{number}", 1, 1, 0) for number in range(1001)], [], []),
        ([], [Param(f"p{number}", "1") for number in range(101)], []),
        ([], [], [RunTag(f"t{number}", "1") for number in range(101)]),
        ([Metric(f"m{number}", 1, 1, 0) for number in range(950)], [Param(f"p{number}", "1") for number in range(51)], []),
    ]:
        with refused("INVALID_PARAMETER_VALUE"):
            store.log_batch(run, metrics, params, tags)
    data = client.get_run(run).data
    assert not data.metrics and not data.params


@pytest.mark.parametrize("key", ["k" * 251, "a//b", "a/../b", "/a", "../a", "a#b", "", "."])
def test_keys_that_are_none(client, run, key):
    store = client._tracking_client.store
    with refused("INVALID_PARAMETER_VALUE"):
        store.log_metric(run, Metric(key, 1, 1, 0))
    with refused("INVALID_PARAMETER_VALUE"):
        store.log_param(run, Param(key, "1"))
    with refused("INVALID_PARAMETER_VALUE"):
        store.set_tag(run, RunTag(key, "1"))


def test_a_key_of_250_bytes_is_one(client, run):
    client.log_metric(run, "k" * 250, 1)
    assert client.get_run(run).data.metrics == {"k" * 250: 1}


def test_nothing_of_a_refused_batch_stays(client, run):
    client.log_param(run, "p", "1")
    with refused("INVALID_PARAMETER_VALUE", "Changing param values is not allowed"):
        client.log_batch(run, metrics=[Metric("m", 1, 1, 0)], params=[Param("q", "1"), Param("p", "2")])
    data = client.get_run(run).data
    assert not data.metrics and data.params == {"p": "1"}


@pytest.mark.parametrize("model", ["", "a/b", "a:b"])
def test_model_names_that_are_none(client, model):
    with refused("INVALID_PARAMETER_VALUE"):
        client.create_registered_model(model)


def test_filters_that_are_none(client, experiment):
    for text in ("metrics.m > 1 OR metrics.m < 0", "metrics.m BETWEEN 1 AND 2", "foo.bar = 'a'", "params.p = 1", "(metrics.m > 1)", "status = "):
        with refused("INVALID_PARAMETER_VALUE"):
            client.search_runs([experiment], text)
    with refused("INVALID_PARAMETER_VALUE"):
        client.search_runs([experiment], max_results=50_001)
    with refused("INVALID_PARAMETER_VALUE"):
        client.search_runs([experiment], page_token="!!")


def test_paths_that_leave_the_run(client, run, service, tmp_path):
    (tmp_path / "x").write_text("x")
    for path in ("../x", "a/../../x", "/etc"):
        with pytest.raises((mlflow.MlflowException, requests.HTTPError), match="(?i)invalid"):
            client.list_artifacts(run, path)
        with pytest.raises((mlflow.MlflowException, requests.HTTPError), match="(?i)invalid"):
            client.log_artifact(run, str(tmp_path / "x"), path)
    for path in ("..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%252e%252e/etc/passwd"):
        answer = requests.get(f"{service.url}/api/2.0/mlflow-artifacts/artifacts/{path}", headers=service.headers, timeout=30)
        assert answer.status_code == 400, (path, answer.text)


def test_an_unknown_route_is_told_from_a_missing_thing(service):
    """The client takes a page that is no JSON for a server that lacks the endpoint, and falls back to older ones."""
    answer = requests.get(f"{service.url}/api/2.0/mlflow/nope", headers=service.headers, timeout=30)
    assert answer.status_code == 404 and "json" not in answer.headers.get("Content-Type", "")
    answer = requests.get(f"{service.url}/api/2.0/mlflow/runs/create", headers=service.headers, timeout=30)
    assert answer.status_code == 405


def test_a_body_of_100_mb_is_refused_or_read(service, run):
    """It must not take the server down, and not be answered with a 500."""
    body = b'{"run_id": "' + run.encode() + b'", "key": "t", "value": "' + b"x" * 100_000_000 + b'"}'
    address = f"{service.url}/api/2.0/mlflow/runs/set-tag"
    try:
        answer = requests.post(address, data=body, headers={**service.headers, "Content-Type": "application/json"}, timeout=60)
        assert answer.status_code in (200, 400, 413), answer.text[:200]
    except requests.ConnectionError:
        pass  # A server may close the connection on a body that it will not read.
    assert requests.get(f"{service.url}/health", timeout=30).status_code == 200
