"""The search of runs by the client: filters, orders, pages, frames. The finer points are in the differential tables."""

import math

import mlflow
import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType

RUNS = {
    "alpha": ({"acc": 0.9, "loss": 0.1}, {"lr": "0.1", "kind": "tree"}, {"team": "red"}),
    "beta": ({"acc": 0.8, "loss": math.nan}, {"lr": "0.01", "kind": "Tree"}, {"team": "blue"}),
    "gamma": ({"acc": 0.7}, {"lr": "0.1"}, {}),
    "delta": ({"loss": 0.4}, {"kind": "linear"}, {"team": "red", "odd key": "x"}),
    "epsilon": ({"acc": math.inf, "loss": -1}, {}, {}),
}


@pytest.fixture(scope="module")
def experiment_id(client):
    import time

    found = client.create_experiment(f"searched-{time.time_ns()}")
    for number, (name, (metrics, params, tags)) in enumerate(RUNS.items()):
        run = client.create_run(found, start_time=1_700_000_000_000 + number, run_name=name)
        client.log_batch(
            run.info.run_id,
            [Metric(key, value, 1, 0) for key, value in metrics.items()],
            [Param(key, value) for key, value in params.items()],
            [RunTag(key, value) for key, value in tags.items()],
        )
        if name in ("alpha", "gamma"):
            client.set_terminated(run.info.run_id, "FINISHED" if name == "alpha" else "FAILED")
    return found


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("metrics.acc > 0.75", "alpha beta epsilon"),
        ("metrics.acc > 0.75 AND metrics.loss < 0.2", "alpha epsilon"),
        ("metrics.acc <= 0.8", "beta gamma"),
        ("metrics.acc != 0.9", "beta gamma epsilon"),
        ("metrics.loss > -5", "alpha delta epsilon"),
        ("params.lr = '0.1'", "alpha gamma"),
        ("params.lr != '0.1'", "beta"),
        ("params.kind LIKE 't%'", "alpha"),
        ("params.kind ILIKE 't%'", "alpha beta"),
        ("params.kind ILIKE '%e_r'", "delta"),
        ("params.kind IS NULL", "gamma epsilon"),
        ("params.kind IS NOT NULL and params.lr is null", "delta"),
        ("tags.team = 'red' and metrics.acc > 0", "alpha"),
        ("tags.`odd key` = 'x'", "delta"),
        ('tags."odd key" = "x"', "delta"),
        ("attributes.status = 'RUNNING'", "beta delta epsilon"),
        ("status != 'RUNNING'", "alpha gamma"),
        ("run_name LIKE '%a' and start_time > 1700000000001", "gamma delta"),
        ("attributes.run_name = 'beta'", "beta"),
        ("start_time <= 1700000000001", "alpha beta"),
        ("metrics.none = 1", ""),
        ("", "alpha beta gamma delta epsilon"),
    ],
)
def test_filters(client, experiment_id, text, want):
    found = client.search_runs([experiment_id], text, order_by=["start_time ASC"])
    assert " ".join(run.info.run_name for run in found) == want


@pytest.mark.parametrize(
    ("order", "want"),
    [
        (["metrics.acc"], "gamma beta alpha epsilon delta"),
        (["metrics.acc DESC"], "epsilon alpha beta gamma delta"),
        (["metrics.loss ASC"], "epsilon alpha delta beta gamma"),
        (["metrics.loss DESC"], "delta alpha epsilon beta gamma"),
        (["params.lr", "start_time"], "beta alpha gamma delta epsilon"),
        (["params.lr DESC", "start_time DESC"], "gamma alpha beta epsilon delta"),
        (["tags.team", "attributes.start_time"], "beta alpha delta gamma epsilon"),
        (["run_name DESC"], "gamma epsilon delta beta alpha"),
        ([], "epsilon delta gamma beta alpha"),
    ],
)
def test_orders(client, experiment_id, order, want):
    assert " ".join(run.info.run_name for run in client.search_runs([experiment_id], order_by=order)) == want


def test_pages(client, experiment_id):
    names, token, n_pages = [], None, 0
    while token or not n_pages:
        page = client.search_runs([experiment_id], order_by=["metrics.acc DESC"], max_results=2, page_token=token)
        names += [run.info.run_name for run in page]
        token, n_pages = page.token, n_pages + 1
    assert names == ["epsilon", "alpha", "beta", "gamma", "delta"] and n_pages == 3


def test_views(client, experiment_id):
    beta = client.search_runs([experiment_id], "run_name = 'beta'")[0].info.run_id
    client.delete_run(beta)
    try:
        assert [run.info.run_id for run in client.search_runs([experiment_id], run_view_type=ViewType.DELETED_ONLY)] == [beta]
        assert len(client.search_runs([experiment_id])) == 4
        assert len(client.search_runs([experiment_id], run_view_type=ViewType.ALL)) == 5
    finally:
        client.restore_run(beta)


def test_ids(client, experiment_id):
    alpha, beta = (client.search_runs([experiment_id], f"run_name = '{name}'")[0].info.run_id for name in ("alpha", "beta"))
    found = client.search_runs([experiment_id], f"attributes.run_id IN ('{alpha}', '{beta}')")
    assert {run.info.run_id for run in found} == {alpha, beta}
    assert len(client.search_runs([experiment_id], f"run_id NOT IN ('{alpha}')")) == 4
    assert [run.info.run_id for run in client.search_runs([experiment_id], f"run_id = '{alpha}'")] == [alpha]


def test_a_frame_of_runs(uri, experiment_id):
    frame = mlflow.search_runs([experiment_id], order_by=["start_time"])
    assert frame["tags.mlflow.runName"].tolist() == list(RUNS)
    assert frame["metrics.acc"].tolist()[:3] == [0.9, 0.8, 0.7] and frame["params.lr"].tolist()[:2] == ["0.1", "0.01"]
    assert len(mlflow.search_runs(search_all_experiments=True, filter_string=f"run_id = '{frame['run_id'][0]}'", output_format="list")) == 1
    name = mlflow.get_experiment(experiment_id).name
    assert len(mlflow.search_runs(experiment_names=[name])) == 5


def test_several_experiments_at_once(client, experiment_id, experiment):
    client.create_run(experiment, run_name="zeta")
    found = client.search_runs([experiment_id, experiment], order_by=["run_name DESC"], max_results=2)
    assert [run.info.run_name for run in found] == ["zeta", "gamma"]
