"""Runs: their life, metrics, parameters, tags, parents and inputs."""

import math

import mlflow
import pytest
from mlflow.entities import DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput, Metric, Param, RunStatus, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from mlflow_service import refused


def test_a_run_from_start_to_end(client, experiment):
    with mlflow.start_run(run_name="first", tags={"a": "b"}, description="why") as active:
        run_id = active.info.run_id
        assert client.get_run(run_id).info.status == "RUNNING"
        assert mlflow.active_run().info.run_id == run_id
    found = mlflow.get_run(run_id)
    assert (found.info.status, found.info.run_name, found.info.experiment_id) == ("FINISHED", "first", experiment)
    assert found.info.end_time >= found.info.start_time
    assert found.data.tags["a"] == "b" and found.data.tags["mlflow.note.content"] == "why"
    assert found.data.tags["mlflow.runName"] == "first" and found.info.artifact_uri.endswith(f"{run_id}/artifacts")
    assert mlflow.last_active_run().info.run_id == run_id


def test_a_run_that_fails_says_so(client, experiment):
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as active:
        raise ZeroDivisionError
    assert client.get_run(active.info.run_id).info.status == "FAILED"


def test_a_run_has_a_name_of_its_own(client, experiment):
    names = {client.get_run(client.create_run(experiment).info.run_id).info.run_name for _ in range(3)}
    assert len(names) == 3 and all(name.count("-") == 2 for name in names)


def test_nested_runs_and_resumed_ones(client, experiment):
    with mlflow.start_run() as parent:
        with mlflow.start_run(nested=True) as child:
            mlflow.log_metric("m", 1)
        with mlflow.start_run(nested=True, parent_run_id=parent.info.run_id):
            pass
    assert client.get_run(child.info.run_id).data.tags[MLFLOW_PARENT_RUN_ID] == parent.info.run_id
    assert mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id
    assert client.get_parent_run(parent.info.run_id) is None
    children = client.search_runs([experiment], f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent.info.run_id}'")
    assert len(children) == 2
    with mlflow.start_run(run_id=child.info.run_id):
        mlflow.log_metric("m", 2, step=1)
        assert client.get_run(child.info.run_id).info.status == "RUNNING"
    assert [point.value for point in client.get_metric_history(child.info.run_id, "m")] == [1, 2]
    assert client.get_run(child.info.run_id).info.status == "FINISHED"


def test_metrics_of_every_sort(client, experiment):
    with mlflow.start_run() as active:
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_metric("loss", 0.25, step=2, timestamp=1_700_000_000_000)
        mlflow.log_metrics({"a/b": 1, "c d": -2.5, "nan": math.nan, "inf": math.inf, "-inf": -math.inf, "big": 1e300}, step=7)
    found = client.get_run(active.info.run_id).data.metrics
    assert found["loss"] == 0.25 and found["a/b"] == 1 and found["c d"] == -2.5 and math.isnan(found["nan"]) and found["big"] == 1e300
    assert found["inf"] == 1.7976931348623157e308 and found["-inf"] == -1.7976931348623157e308
    history = client.get_metric_history(active.info.run_id, "loss")
    assert {(point.step, point.value) for point in history} == {(1, 0.5), (2, 0.25)}
    assert next(point.timestamp for point in history if point.step == 2) == 1_700_000_000_000
    assert client.get_metric_history(active.info.run_id, "none") == []


def test_the_latest_metric_is_the_one_of_the_highest_step(client, run):
    for value, step, timestamp in [(1, 5, 10), (2, 3, 99), (3, 5, 9), (0.5, 5, 10)]:
        client.log_metric(run, "m", value, timestamp=timestamp, step=step)
    assert client.get_run(run).data.metrics["m"] == 1


def test_a_batch(client, run):
    metrics = [Metric("m", number / 10, 1_700_000_000_000 + number, number) for number in range(1000)]
    client.log_batch(run, metrics=metrics)
    client.log_batch(run, params=[Param(f"p{number}", str(number)) for number in range(100)], tags=[RunTag("t", "v"), RunTag("u", "w")])
    found = client.get_run(run).data
    assert found.metrics == {"m": 99.9} and len(found.params) == 100 and found.tags["u"] == "w"
    history = client.get_metric_history(run, "m")
    assert [(point.step, point.value, point.timestamp) for point in history] == [(m.step, m.value, m.timestamp) for m in metrics]


def test_a_point_that_comes_twice_is_there_once(client, run):
    for _ in range(3):
        client.log_batch(run, metrics=[Metric("m", 1.5, 10, 1), Metric("m", 2.5, 20, 2)])
    assert [point.value for point in client.get_metric_history(run, "m")] == [1.5, 2.5]


def test_a_long_history_comes_in_pages(client, run):
    for begin in range(0, 3000, 1000):
        client.log_batch(run, metrics=[Metric("m", step, step, step) for step in range(begin, begin + 1000)])
    store = client._tracking_client.store
    page = store.get_metric_history(run, "m", max_results=1200)
    assert len(page) == 1200 and page.token
    rest = store.get_metric_history(run, "m", max_results=2000, page_token=page.token)
    assert [point.step for point in [*page, *rest]] == list(range(3000)) and not rest.token
    assert len(client.get_metric_history(run, "m")) == 3000


def test_parameters_do_not_change(client, run, experiment):
    client.log_param(run, "p", 1)
    client.log_param(run, "p", "1")
    with refused("INVALID_PARAMETER_VALUE", "Changing param values is not allowed"):
        client.log_param(run, "p", 2)
    with mlflow.start_run(run_id=run):
        mlflow.log_params({"q": [1, 2], "r": None, "long": "x" * 6000})
    assert client.get_run(run).data.params == {"p": "1", "q": "[1, 2]", "r": "None", "long": "x" * 6000}


def test_long_values_are_cut_not_refused(client, run):
    client.log_param(run, "p", "x" * 7000)
    client.set_tag(run, "t", "y" * 9000)
    found = client.get_run(run).data
    assert found.params["p"] == "x" * 6000 and found.tags["t"] == "y" * 8000


def test_tags_change_and_go(client, run, experiment):
    client.set_tag(run, "t", "v")
    client.set_tag(run, "t", "w")
    with mlflow.start_run(run_id=run):
        mlflow.set_tags({"a": 1, "b": "ü"})
        mlflow.delete_tag("a")
    found = client.get_run(run).data.tags
    assert found["t"] == "w" and found["b"] == "ü" and "a" not in found
    client.delete_tag(run, "t")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.delete_tag(run, "t")


def test_names_and_states_are_updated(client, run):
    client.update_run(run, status="SCHEDULED", name="renamed")
    found = client.get_run(run)
    assert (found.info.status, found.info.run_name, found.data.tags["mlflow.runName"]) == ("SCHEDULED", "renamed", "renamed")
    client.set_tag(run, "mlflow.runName", "by tag")
    assert client.get_run(run).info.run_name == "by tag"
    client.set_terminated(run, "KILLED", end_time=1_700_000_000_000)
    found = client.get_run(run)
    assert found.info.status == RunStatus.to_string(RunStatus.KILLED) and found.info.end_time == 1_700_000_000_000
    client.log_metric(run, "late", 1)
    assert client.get_run(run).data.metrics == {"late": 1}


def test_deleting_and_restoring(client, run):
    client.delete_run(run)
    client.delete_run(run)
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    with refused("INVALID_PARAMETER_VALUE", "must be in the 'active' state"):
        client.log_metric(run, "m", 1)
    client.restore_run(run)
    client.log_metric(run, "m", 1)
    mlflow.delete_run(run)
    mlflow.restore_run(run)
    assert client.get_run(run).info.lifecycle_stage == "active"


def test_data_sets_are_inputs(client, experiment):
    import numpy
    import pandas

    frame = mlflow.data.from_pandas(pandas.DataFrame({"x": [1, 2], "y": [0.5, 1.5]}), name="frame", targets="y")
    array = mlflow.data.from_numpy(numpy.zeros((3, 2)), name="array")
    with mlflow.start_run() as active:
        mlflow.log_input(frame, context="train", tags={"split": "a"})
        mlflow.log_input(frame, context="train")
        mlflow.log_inputs([array, frame], ["eval", "train"], [None, None])
    inputs = client.get_run(active.info.run_id).inputs.dataset_inputs
    assert {one.dataset.name for one in inputs} == {"frame", "array"}
    first = next(one for one in inputs if one.dataset.name == "frame")
    assert first.dataset.digest == frame.digest and '"x"' in first.dataset.schema and first.dataset.source_type
    assert {tag.key: tag.value for tag in first.tags}["mlflow.data.context"] == "train"
    assert mlflow.data.get_source(first) is not None
    assert len(mlflow.search_runs([experiment], "dataset.name = 'array' AND dataset.context = 'eval'")) == 1
    assert len(mlflow.search_runs([experiment], f"dataset.digest = '{frame.digest}'")) == 1
    client.log_inputs(active.info.run_id, [DatasetInput(array._to_mlflow_entity(), [InputTag("k", "v")])])


def test_models_are_inputs_and_outputs(client, experiment, run):
    model = client.create_logged_model(experiment, name="m", source_run_id=run)
    client.log_outputs(run, [LoggedModelOutput(model.model_id, step=3)])
    client.log_inputs(run, models=[LoggedModelInput(model.model_id)])
    found = client.get_run(run)
    assert [(one.model_id, one.step) for one in found.outputs.model_outputs] == [(model.model_id, 3)]
    assert [one.model_id for one in found.inputs.model_inputs] == [model.model_id]


def test_logging_without_waiting(client, experiment):
    with mlflow.start_run() as active:
        for step in range(50):
            mlflow.log_metric("m", step, step=step, synchronous=False)
        mlflow.log_params({"p": 1}, synchronous=False).wait()
        mlflow.set_tag("t", "v", synchronous=False)
    mlflow.flush_async_logging()
    found = client.get_run(active.info.run_id).data
    assert found.metrics == {"m": 49} and found.params == {"p": "1"} and found.tags["t"] == "v"
    assert len(client.get_metric_history(active.info.run_id, "m")) == 50


def test_a_model_is_active_while_metrics_are_logged(client, experiment):
    with mlflow.start_run() as active:
        model = mlflow.initialize_logged_model(name="m")
        mlflow.log_metric("m", 0.5, model_id=model.model_id)
    assert client.get_run(active.info.run_id).data.metrics == {"m": 0.5}
    assert [(metric.key, metric.value) for metric in client.get_logged_model(model.model_id).metrics] == [("m", 0.5)]


def test_a_run_is_ended_by_hand(client, experiment):
    run_id = mlflow.start_run().info.run_id
    mlflow.end_run("KILLED")
    assert client.get_run(run_id).info.status == "KILLED"
