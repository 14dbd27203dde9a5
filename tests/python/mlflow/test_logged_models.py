"""Logged models: their life, what is logged to them, and the search for them."""

import mlflow
import pytest
from mlflow.entities import LoggedModelStatus
from mlflow_service import refused


def test_the_life_of_a_model(client, experiment, run):
    made = client.create_logged_model(experiment, name="m", source_run_id=run, tags={"t": "v"}, params={"p": "1"}, model_type="agent")
    assert (
        made.status == LoggedModelStatus.PENDING
        and made.model_id.startswith("m-")
        and made.artifact_location.endswith(f"/models/{made.model_id}/artifacts")
    )
    found = client.get_logged_model(made.model_id)
    assert (found.name, found.params, found.tags["t"], found.model_type, found.source_run_id) == ("m", {"p": "1"}, "v", "agent", run)
    assert client.finalize_logged_model(made.model_id, LoggedModelStatus.READY).status == LoggedModelStatus.READY
    client.set_logged_model_tags(made.model_id, {"a": "b", "t": "w"})
    client.delete_logged_model_tag(made.model_id, "a")
    assert "a" not in client.get_logged_model(made.model_id).tags
    assert client.get_logged_model(made.model_id).tags["t"] == "w"
    client.log_model_params(made.model_id, {"q": "2"})
    assert client.get_logged_model(made.model_id).params == {"p": "1", "q": "2"}
    client.delete_logged_model(made.model_id)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_logged_model(made.model_id)


def test_the_fluent_functions(client, experiment):
    with mlflow.start_run() as active:
        made = mlflow.initialize_logged_model(name="m", params={"a": "b"})
        mlflow.log_model_params({"c": "d"}, model_id=made.model_id)
        mlflow.set_logged_model_tags(made.model_id, {"t": "v"})
        mlflow.finalize_logged_model(made.model_id, "READY")
        assert mlflow.last_logged_model().model_id == made.model_id
    found = mlflow.get_logged_model(made.model_id)
    assert found.status == LoggedModelStatus.READY and found.params == {"a": "b", "c": "d"} and found.source_run_id == active.info.run_id
    mlflow.delete_logged_model_tag(made.model_id, "t")
    failed = mlflow.initialize_logged_model(name="failed")
    mlflow.finalize_logged_model(failed.model_id, "FAILED")
    assert mlflow.get_logged_model(failed.model_id).status == LoggedModelStatus.FAILED
    external = mlflow.create_external_model(name="external", params={"url": "x"})
    assert mlflow.get_logged_model(external.model_id).status == LoggedModelStatus.READY
    active_model = mlflow.set_active_model(name="served")
    assert mlflow.get_active_model_id() == active_model.model_id
    mlflow.clear_active_model()


def test_metrics_belong_to_the_model_and_the_run(client, experiment, run):
    model = client.create_logged_model(experiment, name="m")
    client.log_metric(run, "acc", 0.5, step=1, model_id=model.model_id, dataset_name="d", dataset_digest="1")
    client.log_metric(run, "acc", 0.7, step=2, model_id=model.model_id)
    found = client.get_logged_model(model.model_id).metrics
    assert {(one.key, one.value, one.dataset_name, one.run_id) for one in found} == {("acc", 0.5, "d", run), ("acc", 0.7, None, run)}
    assert client.get_run(run).data.metrics["acc"] == 0.7


@pytest.fixture(scope="module")
def searched(client):
    import time

    experiment_id = client.create_experiment(f"logged-{time.time_ns()}")
    run = client.create_run(experiment_id).info.run_id
    for number, name in enumerate(["a", "b", "c", "a"]):
        model = client.create_logged_model(experiment_id, name=name, params={"n": str(number)}, tags={"odd": str(number % 2)})
        client.log_metric(run, "m", number, step=number, model_id=model.model_id, dataset_name="d", dataset_digest=str(number % 2))
        if number < 3:
            client.finalize_logged_model(model.model_id, "READY")
    return experiment_id


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("name = 'a'", "03"),
        ("name != 'a'", "12"),
        ("name IN ('b', 'c')", "12"),
        ("name LIKE 'b%'", "1"),
        ("status = 'READY'", "012"),
        ("status = 'PENDING'", "3"),
        ("metrics.m > 1", "23"),
        ("metrics.m > 0 AND params.n != '3'", "12"),
        ("params.n = '2'", "2"),
        ("tags.odd = '1'", "13"),
        ("creation_timestamp > 0 AND tags.odd = '0'", "02"),
    ],
)
def test_filters(client, searched, text, want):
    found = client.search_logged_models([searched], text, order_by=[{"field_name": "metrics.m", "ascending": True}])
    assert "".join(model.params["n"] for model in found) == want


def test_orders_and_pages(client, searched):
    by_metric = [{"field_name": "metrics.m", "ascending": False}]
    page = client.search_logged_models([searched], order_by=by_metric, max_results=3)
    rest = client.search_logged_models([searched], order_by=by_metric, max_results=3, page_token=page.token)
    assert [model.params["n"] for model in [*page, *rest]] == ["3", "2", "1", "0"] and not rest.token
    newest_first = client.search_logged_models([searched])
    assert [model.params["n"] for model in newest_first] == ["3", "2", "1", "0"]
    by_name = client.search_logged_models([searched], order_by=[{"field_name": "name"}, {"field_name": "creation_timestamp", "ascending": False}])
    assert [model.params["n"] for model in by_name] == ["3", "0", "1", "2"]
    with refused("INVALID_PARAMETER_VALUE"):
        client.search_logged_models([searched], max_results=3, page_token=page.token)


def test_metrics_on_a_data_set(client, searched):
    found = client.search_logged_models([searched], "metrics.m >= 1", datasets=[{"dataset_name": "d", "dataset_digest": "1"}])
    assert {model.params["n"] for model in found} == {"1", "3"}
    frame = mlflow.search_logged_models([searched], "name = 'a'")
    assert len(frame) == 2 and set(frame["name"]) == {"a"}
