"""The registry: models, versions, aliases, stages, tags and their search."""

import mlflow
import pytest
from mlflow_service import refused

# Stages are deprecated by aliases, and in wide use.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated since:FutureWarning")


@pytest.fixture
def model(client, name):
    """A registered model with three versions."""
    client.create_registered_model(name, tags={"k": "v"}, description="d")
    for number in (1, 2, 3):
        client.create_model_version(name, f"s3://bucket/{number}", tags={"n": str(number)})
    return name


def numbers(versions) -> list[int]:
    return [int(version.version) for version in versions]


def test_a_model_is_made_changed_and_deleted(client, name):
    made = client.create_registered_model(name, tags={"a": "b"}, description="one")
    assert (made.name, made.tags, made.description) == (name, {"a": "b"}, "one") and made.creation_timestamp
    assert client.update_registered_model(name, "two").description == "two"
    client.set_registered_model_tag(name, "c", 5)
    client.delete_registered_model_tag(name, "a")
    assert client.get_registered_model(name).tags == {"c": "5"}
    client.rename_registered_model(name, f"{name}-b")
    assert client.get_registered_model(f"{name}-b").description == "two"
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_registered_model(name)
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(f"{name}-b")
    client.delete_registered_model(f"{name}-b")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.delete_registered_model(f"{name}-b")
    client.create_registered_model(f"{name}-b")


def test_versions_count_up_and_are_never_given_twice(client, model):
    version = client.get_model_version(model, "2")
    assert (version.source, version.tags, version.current_stage, version.status) == ("s3://bucket/2", {"n": "2"}, "None", "READY")
    assert client.get_model_version_download_uri(model, "2") == "s3://bucket/2"
    assert client.update_model_version(model, "2", "described").description == "described"
    client.set_model_version_tag(model, "2", "t", "v")
    client.delete_model_version_tag(model, "2", "n")
    assert client.get_model_version(model, "2").tags == {"t": "v"}
    client.delete_model_version(model, "3")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_model_version(model, "3")
    assert numbers(client.search_model_versions(f"name = '{model}'")) == [2, 1]
    assert numbers([client.create_model_version(model, "s3://bucket/4")]) == [4]


def test_a_renamed_model_keeps_its_versions(client, model):
    client.set_registered_model_alias(model, "best", "2")
    client.rename_registered_model(model, f"{model}-b")
    assert numbers(client.search_model_versions(f"name = '{model}-b'")) == [3, 2, 1]
    assert int(client.get_model_version_by_alias(f"{model}-b", "best").version) == 2


def test_aliases(client, model):
    client.set_registered_model_alias(model, "best", "1")
    client.set_registered_model_alias(model, "best", "2")
    client.set_registered_model_alias(model, "Shadow_1", "2")
    assert int(client.get_model_version_by_alias(model, "best").version) == 2
    assert sorted(client.get_model_version(model, "2").aliases) == ["Shadow_1", "best"]
    assert {alias: int(version) for alias, version in client.get_registered_model(model).aliases.items()} == {"best": 2, "Shadow_1": 2}
    client.delete_registered_model_alias(model, "best")
    client.delete_registered_model_alias(model, "best")
    with refused("INVALID_PARAMETER_VALUE", "alias best not found"):
        client.get_model_version_by_alias(model, "best")
    client.delete_model_version(model, "2")
    assert client.get_registered_model(model).aliases == {}
    for alias in ("latest", "v1", "a b", "a/b", "x" * 256):
        with refused("INVALID_PARAMETER_VALUE"):
            client.set_registered_model_alias(model, alias, "1")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.set_registered_model_alias(model, "best", "99")


def test_stages(client, model):
    assert client.transition_model_version_stage(model, "1", "production").current_stage == "Production"
    client.transition_model_version_stage(model, "2", "Production", archive_existing_versions=True)
    client.transition_model_version_stage(model, "3", "Staging")
    assert client.get_model_version(model, "1").current_stage == "Archived"
    assert {version.current_stage: int(version.version) for version in client.get_latest_versions(model)} == {
        "Archived": 1,
        "Production": 2,
        "Staging": 3,
    }
    assert numbers(client.get_latest_versions(model, ["production"])) == [2]
    assert client.get_model_version_stages(model, "1") == ["None", "Staging", "Production", "Archived"]
    with refused("INVALID_PARAMETER_VALUE", "Invalid Model Version stage"):
        client.transition_model_version_stage(model, "1", "Nowhere")


def test_the_search_of_models(client, name):
    for number in range(5):
        client.create_registered_model(f"{name}-{number}", tags={"parity": str(number % 2)})
    ones_own = f"name LIKE '{name}-%'"
    page = client.search_registered_models(ones_own, max_results=3, order_by=["name DESC"])
    rest = client.search_registered_models(ones_own, max_results=3, order_by=["name DESC"], page_token=page.token)
    assert [model.name[-1] for model in [*page, *rest]] == list("43210") and not rest.token
    assert [model.name[-1] for model in client.search_registered_models(f"{ones_own} AND tags.parity = '1'")] == ["1", "3"]
    assert [model.name[-1] for model in client.search_registered_models(f"name ILIKE '{name.upper()}-4'")] == ["4"]
    assert client.search_registered_models(f"name = '{name}'") == []
    assert len(mlflow.search_registered_models(filter_string=ones_own)) == 5


def test_the_search_of_versions(client, model, run):
    client.create_model_version(model, f"runs:/{run}/m", run_id=run)
    ones_own = f"name = '{model}'"
    assert numbers(client.search_model_versions(f"run_id = '{run}'")) == [4]
    assert numbers(client.search_model_versions(f"{ones_own} AND tags.n = '2'")) == [2]
    assert numbers(client.search_model_versions(f"{ones_own} AND source_path = 's3://bucket/3'")) == [3]
    assert numbers(client.search_model_versions(ones_own, order_by=["version_number ASC"])) == [1, 2, 3, 4]
    page = client.search_model_versions(ones_own, max_results=3)
    rest = client.search_model_versions(ones_own, max_results=3, page_token=page.token)
    assert numbers([*page, *rest]) == [4, 3, 2, 1]
    assert len(mlflow.search_model_versions(filter_string=f"{ones_own} AND version_number > 2")) == 2


def test_copies_know_where_they_are_from(client, model):
    copy = client.copy_model_version(f"models:/{model}/2", f"{model}-copy")
    again = client.copy_model_version(f"models:/{model}/3", f"{model}-copy")
    assert numbers([copy, again]) == [1, 2] and copy.source == f"models:/{model}/2"
    assert client.get_model_version_download_uri(f"{model}-copy", "1") == "s3://bucket/2"
    with pytest.raises(mlflow.MlflowException, match="RESOURCE_DOES_NOT_EXIST"):
        client.copy_model_version(f"models:/{model}/99", f"{model}-copy")


def test_sources_that_lead_elsewhere(client, model, run):
    for source, run_id in [
        ("/etc/passwd", None),
        ("/etc/passwd", run),
        ("file:///etc", None),
        (f"runs:/{run}/m", None),
        (f"runs:/{run}/../x", run),
        ("http://internal/x", None),
    ]:
        with refused("INVALID_PARAMETER_VALUE"):
            client.create_model_version(model, source, run_id=run_id)
