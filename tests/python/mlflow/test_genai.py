"""Evaluation data sets, scorers, and the evaluation of traces."""

import mlflow
from mlflow_service import landing, refused


@landing("datasets")
def test_the_life_of_a_data_set(client, experiment, name):
    from mlflow.genai.datasets import create_dataset, delete_dataset, get_dataset, search_datasets

    made = create_dataset(name=name, experiment_id=[experiment], tags={"a": "b"})
    made.merge_records([{"inputs": {"q": "a"}, "expectations": {"e": "b"}}, {"inputs": {"q": "c"}}])
    made.merge_records([{"inputs": {"q": "a"}, "expectations": {"e": "d"}}])
    frame = get_dataset(dataset_id=made.dataset_id).to_df()
    assert len(frame) == 2 and {"d"} <= {row.get("e") for row in frame["expectations"] if row}
    assert [found.dataset_id for found in search_datasets(experiment_ids=[experiment])] == [made.dataset_id]
    client.set_dataset_tags(made.dataset_id, {"c": "d"})
    client.delete_dataset_tag(made.dataset_id, "a")
    assert get_dataset(dataset_id=made.dataset_id).tags["c"] == "d"
    other = client.create_experiment(f"{name}-other")
    client.add_dataset_to_experiments(made.dataset_id, [other])
    assert made.dataset_id in {found.dataset_id for found in client.search_datasets(experiment_ids=[other])}
    client.remove_dataset_from_experiments(made.dataset_id, [other])
    assert client.search_datasets(experiment_ids=[other]) == []
    delete_dataset(dataset_id=made.dataset_id)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        get_dataset(dataset_id=made.dataset_id)


@landing("datasets")
def test_the_client_makes_data_sets_too(client, experiment, name):
    made = client.create_dataset(name, experiment_id=[experiment])
    assert client.get_dataset(made.dataset_id).name == name
    client.delete_dataset(made.dataset_id)


@landing("scorers")
def test_scorers_are_kept_with_versions(experiment):
    from mlflow.genai.scorers import Guidelines, delete_scorer, get_scorer, list_scorers

    scorer = Guidelines(name="kind", guidelines="be kind", model="openai:/gpt-4o-mini")
    scorer.register(name="kind", experiment_id=experiment)
    scorer.register(name="kind", experiment_id=experiment)
    assert [one.name for one in list_scorers(experiment_id=experiment)] == ["kind"]
    assert get_scorer(name="kind", experiment_id=experiment).guidelines == "be kind"
    delete_scorer(name="kind", experiment_id=experiment, version="all")
    assert list_scorers(experiment_id=experiment) == []


@landing("traces")
def test_an_evaluation_of_answers(client, experiment):
    from mlflow.genai.scorers import scorer

    @scorer
    def exact(outputs, expectations):
        return outputs == expectations["want"]

    data = [{"inputs": {"q": text}, "expectations": {"want": want}} for text, want in [("a", "a"), ("b", "c")]]
    result = mlflow.genai.evaluate(data=data, predict_fn=lambda q: q, scorers=[exact])
    assert result.metrics["exact/mean"] == 0.5
    assert client.get_run(result.run_id).data.metrics["exact/mean"] == 0.5
    assert len(mlflow.search_traces(locations=[experiment], run_id=result.run_id, return_type="list")) == 2
