"""Experiments by the fluent functions and by the client."""

import mlflow
import pytest
from mlflow.entities import ViewType
from mlflow_service import refused


def test_an_experiment_is_made_found_and_renamed(client, name):
    experiment_id = client.create_experiment(name, tags={"team": "churn"})
    found = client.get_experiment(experiment_id)
    assert (found.name, found.lifecycle_stage, found.tags) == (name, "active", {"team": "churn"})
    assert found.creation_time > 1_600_000_000_000 and found.last_update_time >= found.creation_time
    assert client.get_experiment_by_name(name).experiment_id == experiment_id
    client.rename_experiment(experiment_id, f"{name}-b")
    assert client.get_experiment_by_name(name) is None
    assert client.get_experiment(experiment_id).name == f"{name}-b"


def test_the_fluent_functions(uri, name):
    experiment_id = mlflow.create_experiment(name, tags={"a": "b"})
    assert mlflow.set_experiment(name).experiment_id == experiment_id
    mlflow.set_experiment_tag("c", "d")
    mlflow.set_experiment_tags({"e": "f", "g": 5})
    mlflow.delete_experiment_tag("a")
    assert mlflow.get_experiment(experiment_id).tags == {"c": "d", "e": "f", "g": "5"}
    assert mlflow.get_experiment_by_name(name).experiment_id == experiment_id
    assert mlflow.set_experiment(f"{name}-new").name == f"{name}-new", "a name that is not there is made"


def test_deleting_and_restoring_takes_the_runs_along(client, experiment, run):
    client.delete_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    with refused("INVALID_PARAMETER_VALUE", "must be in the 'active' state"):
        client.create_run(experiment)
    with pytest.raises(mlflow.MlflowException, match="[Cc]annot set a deleted experiment"):
        mlflow.set_experiment(client.get_experiment(experiment).name)
    client.restore_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    assert client.get_run(run).info.lifecycle_stage == "active"


def test_tags_are_set_changed_and_deleted(client, experiment):
    client.set_experiment_tag(experiment, "k", "v")
    client.set_experiment_tag(experiment, "k", "w")
    client.set_experiment_tag(experiment, "mlflow.note.content", "# Why\n" * 100)
    assert client.get_experiment(experiment).tags == {"k": "w", "mlflow.note.content": "# Why\n" * 100}
    client.delete_experiment_tag(experiment, "k")
    assert set(client.get_experiment(experiment).tags) == {"mlflow.note.content"}


def test_what_is_not_there_or_not_allowed(client, experiment):
    taken = client.get_experiment(experiment).name
    with refused("RESOURCE_ALREADY_EXISTS", "already exists"):
        client.create_experiment(taken)
    with refused("RESOURCE_DOES_NOT_EXIST", "No Experiment with id=99999999 exists"):
        client.get_experiment("99999999")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.delete_experiment("99999999")
    with refused("INVALID_PARAMETER_VALUE"):
        client.create_experiment("")
    with refused("INVALID_PARAMETER_VALUE"):
        client.create_experiment("x" * 501)
    client.delete_experiment(experiment)
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.create_experiment(taken)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.delete_experiment(experiment)


def test_search_pages_orders_and_filters(client, name):
    ids = [client.create_experiment(f"{name}-{number}", tags={"parity": str(number % 2)}) for number in range(7)]
    client.delete_experiment(ids[6])
    ones_own = f"name LIKE '{name}-%'"
    found = client.search_experiments(filter_string=ones_own, order_by=["name DESC"], max_results=4)
    assert [one.name[-1] for one in found] == ["5", "4", "3", "2"]
    rest = client.search_experiments(filter_string=ones_own, order_by=["name DESC"], max_results=4, page_token=found.token)
    assert [one.name[-1] for one in rest] == ["1", "0"] and not rest.token
    newest_first = client.search_experiments(filter_string=ones_own)
    assert [one.name[-1] for one in newest_first] == ["5", "4", "3", "2", "1", "0"]
    odd = mlflow.search_experiments(filter_string=f"{ones_own} AND tags.parity = '1'", order_by=["name"])
    assert [one.name[-1] for one in odd] == ["1", "3", "5"]
    deleted = client.search_experiments(ViewType.DELETED_ONLY, filter_string=ones_own)
    assert [one.experiment_id for one in deleted] == [ids[6]]
    assert len(client.search_experiments(ViewType.ALL, filter_string=ones_own)) == 7
    assert [one.experiment_id for one in client.search_experiments(filter_string=f"experiment_id = '{ids[2]}'")] == [ids[2]]


def test_the_first_experiment_is_there_from_the_start(client):
    assert client.get_experiment("0").name == "Default"
