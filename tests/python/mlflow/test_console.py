"""MLflow's own console shows what is in the server: runs in a list, a metric as a chart, a registered model."""

import time

import pytest
from console import browser, files, served
from mlflow.entities import Metric, Param

pytestmark = [
    pytest.mark.skipif(browser() is None, reason="there is no browser"),
    pytest.mark.skipif(files() is None, reason="the installed MLflow has no console"),
]


@pytest.fixture(scope="module")
def console(service):
    with served(service.url, service.headers) as running:
        yield running


@pytest.fixture(scope="module")
def shown(client):
    """An experiment with two runs, one of them with a metric of 50 points, and a registered model."""
    unique = str(time.time_ns())
    experiment = client.create_experiment(f"console-{unique}")
    runs = [client.create_run(experiment, run_name=f"{word}-{unique}").info.run_id for word in ("plain", "charted")]
    client.log_batch(runs[1], [Metric("wiggle", (step % 7) / 7, 1_700_000_000_000 + step, step) for step in range(50)], [Param("depth", "3")])
    client.set_terminated(runs[1])
    client.create_registered_model(f"model-{unique}", description="what the console shows")
    client.create_model_version(f"model-{unique}", f"runs:/{runs[1]}/m", run_id=runs[1], description="first version")
    client.set_registered_model_alias(f"model-{unique}", "best", "1")
    return unique, experiment, runs


def all_of(page: str, *texts: str) -> None:
    missing = [text for text in texts if text not in page]
    assert not missing, f"the page lacks {missing}"


def test_experiments_are_listed(console, shown):
    unique, _, _ = shown
    all_of(console.page("/experiments"), f"console-{unique}")


def test_runs_are_listed(console, shown):
    unique, experiment, _ = shown
    all_of(console.page(f"/experiments/{experiment}/runs"), f"plain-{unique}", f"charted-{unique}")


def test_a_run_is_shown(console, shown):
    unique, experiment, runs = shown
    all_of(console.page(f"/experiments/{experiment}/runs/{runs[1]}"), f"charted-{unique}", "wiggle", "depth", "Finished")


def test_a_metric_is_drawn(console, shown):
    _, experiment, runs = shown
    page = console.page(f"/experiments/{experiment}/runs/{runs[1]}/model-metrics")
    all_of(page, "wiggle", "main-svg", "scatterlayer")
    assert ("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", 200) in console.calls


def test_a_registered_model_is_shown(console, shown, service):
    unique, _, _ = shown
    if service.is_ours:  # Another server may have more models than a page shows.
        all_of(console.page("/models"), f"model-{unique}")
    all_of(console.page(f"/models/model-{unique}"), f"model-{unique}", "what the console shows", "best")
    all_of(console.page(f"/models/model-{unique}/versions/1"), "first version", "best")


def test_nothing_that_the_console_asks_is_a_500(console, shown, service):
    if not service.is_ours:
        pytest.skip("MLflow's own server gives some")
    assert [call for call in console.calls if call[2] >= 500 and call[2] != 501] == []
