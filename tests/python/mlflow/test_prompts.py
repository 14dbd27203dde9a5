"""Prompts: registered models with tags of MLflow's, in the registry beside the models."""

import mlflow
import pytest
from mlflow_service import landing, refused

pytestmark = landing("prompts")


def test_a_prompt_has_versions_and_aliases(client, name):
    first = mlflow.genai.register_prompt(name=name, template="Hello {{who}}", commit_message="first", tags={"a": "b"})
    assert first.version == 1 and first.template == "Hello {{who}}"
    second = mlflow.genai.register_prompt(name=name, template=[{"role": "user", "content": "Hi {{who}}"}])
    assert second.version == 2 and not second.is_text_prompt
    mlflow.genai.set_prompt_alias(name, "production", 1)
    loaded = mlflow.genai.load_prompt(f"prompts:/{name}@production")
    assert loaded.format(who="Ana") == "Hello Ana" and loaded.commit_message == "first"
    assert mlflow.genai.load_prompt(name, version=2).template == [{"role": "user", "content": "Hi {{who}}"}]
    assert mlflow.genai.load_prompt(f"prompts:/{name}@latest").version == 2
    assert client.get_prompt_version_by_alias(name, "production").version == 1
    mlflow.genai.delete_prompt_alias(name, "production")
    with pytest.raises(mlflow.MlflowException):
        mlflow.genai.load_prompt(f"prompts:/{name}@production", cache_ttl_seconds=0)


def test_tags_search_and_delete(client, name):
    for number in range(3):
        mlflow.genai.register_prompt(name=f"{name}-{number}", template="x {{y}}")
    mlflow.genai.set_prompt_tag(f"{name}-0", "team", "red")
    client.set_prompt_version_tag(f"{name}-0", 1, "t", "v")
    assert client.get_prompt(f"{name}-0").tags["team"] == "red"
    assert client.get_prompt_version(f"{name}-0", 1).tags["t"] == "v"
    client.delete_prompt_version_tag(f"{name}-0", 1, "t")
    mlflow.genai.delete_prompt_tag(f"{name}-0", "team")
    found = mlflow.genai.search_prompts(f"name LIKE '{name}-%'")
    assert {prompt.name for prompt in found} == {f"{name}-{number}" for number in range(3)}
    assert len(client.search_prompt_versions(f"{name}-0")) == 1
    client.delete_prompt_version(f"{name}-1", "1")
    client.delete_prompt(f"{name}-1")
    assert client.get_prompt(f"{name}-1") is None
    assert {model.name for model in client.search_registered_models(f"name LIKE '{name}-%'")} == set(), "prompts are not among the models"


def test_a_prompt_is_not_a_model(client, name):
    mlflow.genai.register_prompt(name=name, template="x")
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(name)
    client.create_registered_model(f"{name}-model")
    with pytest.raises(mlflow.MlflowException):
        mlflow.genai.register_prompt(name=f"{name}-model", template="x")


def test_prompts_are_linked_to_runs(client, run, name):
    prompt = mlflow.genai.register_prompt(name=name, template="x {{y}}")
    client.link_prompt_version_to_run(run, prompt)
    assert name in client.get_run(run).data.tags["mlflow.linkedPrompts"]
    # As clients before 3.0 linked them.
    client.set_prompt_version_tag(name, "1", "mlflow.prompt.associatedRunIds", run)
    assert [one.name for one in client.list_logged_prompts(run)] == [name]
    client.detach_prompt_from_run(run, f"prompts:/{name}/1")
    assert client.list_logged_prompts(run) == []


def test_a_prompt_step_by_step(client, experiment, name):
    assert client.create_prompt(name, description="d", tags={"a": "b"}).name == name
    version = client.create_prompt_version(name, "x {{y}}", description="first", tags={"t": "v"})
    assert (version.version, version.template) == (1, "x {{y}}")
    client.set_prompt_tag(name, "c", "d")
    client.delete_prompt_tag(name, "a")
    assert client.get_prompt(name).tags == {"c": "d"}
    client.set_prompt_alias(name, "best", 1)
    client.delete_prompt_alias(name, "best")
    model = client.create_logged_model(experiment, name="m")
    client.link_prompt_version_to_model(name, "1", model.model_id)
    assert name in client.get_logged_model(model.model_id).tags["mlflow.linkedPrompts"]
