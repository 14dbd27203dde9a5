"""One domain, two faces: what a client of MLflow's does is a run, a model and an entry of Loopwright's, under the same rules."""

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow_service import ORACLE, pointed_at, refused
from sklearn.linear_model import LinearRegression

pytestmark = pytest.mark.skipif(bool(ORACLE), reason="MLflow's own server has no other face")


@pytest.fixture
def both(server):
    """A trained project's server, with MLflow's client set to it."""
    with pointed_at(server.url, server.token()) as url:
        yield server, MlflowClient(url, url)


def test_a_protected_alias_follows_the_gates_alone(both):
    server, client = both
    champion = client.get_model_version_by_alias("churn", "champion")
    assert int(champion.version) == 1
    for change in (
        lambda: client.set_registered_model_alias("churn", "champion", "1"),
        lambda: client.delete_registered_model_alias("churn", "champion"),
        lambda: client.delete_model_version("churn", "1"),
        lambda: client.delete_registered_model("churn"),
        lambda: client.rename_registered_model("churn", "loss"),
    ):
        with refused("PERMISSION_DENIED", "churn"):
            change()
    assert int(client.get_model_version_by_alias("churn", "champion").version) == 1
    client.set_registered_model_alias("churn", "candidate", "1")
    assert int(client.get_model_version_by_alias("churn", "candidate").version) == 1


def test_the_champion_of_a_model_without_a_policy_is_the_clients(both):
    _, client = both
    client.create_registered_model("free")
    for _ in range(2):
        client.create_model_version("free", "s3://bucket/model")
    for version in ("1", "2"):
        client.set_registered_model_alias("free", "champion", version)
        assert str(client.get_model_version_by_alias("free", "champion").version) == version
    client.delete_model_version("free", "2")
    client.delete_registered_model("free")


def test_a_version_of_a_notebook_is_in_the_ledger_and_answers_why(both):
    server, client = both
    mlflow.set_experiment("notebook")
    with mlflow.start_run() as active:
        model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
        mlflow.sklearn.log_model(model, name="line", registered_model_name="line", pip_requirements=["scikit-learn"])
    client.set_registered_model_alias("line", "shadow", "1")
    project = server.project
    entries = project.json("audit", "log", "--subject", "model_version/line@1")["items"]
    assert entries and all(entry["actor"] for entry in entries)
    why = project.run("why", "line@1").stdout
    assert active.info.run_id in why or "line" in why
    assert project.run("audit", "verify").returncode == 0


def test_the_native_api_knows_the_run_and_the_model(both):
    server, client = both
    run = client.create_run(client.create_experiment("from-the-client"), run_name="mine")
    client.create_registered_model("from_the_client")
    status, _, models = server.call("GET", "/api/v1/models?limit=100")
    assert status == 200 and "from_the_client" in str(models)
    status, _, runs = server.call("GET", "/api/v1/runs?limit=100")
    assert status != 200 or run.info.run_id in str(runs)


def test_a_pipelines_run_is_seen_by_the_client(both):
    _, client = both
    version = client.get_model_version("churn", "1")
    assert version.source and version.status == "READY"
    experiments = client.search_experiments()
    assert client.search_runs([one.experiment_id for one in experiments])
