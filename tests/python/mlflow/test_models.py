"""Models logged by flavours and by autologging, loaded again, registered and evaluated."""

import mlflow
import numpy
import pandas
import pytest
from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS
from sklearn.datasets import load_iris, make_regression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Guessing a model's requirements starts a Python that imports it anew; a list of them spares that.
PLAIN = {"pip_requirements": ["scikit-learn"]}


@pytest.fixture(scope="module")
def iris():
    features, target = load_iris(return_X_y=True, as_frame=True)
    return features, target


@pytest.fixture
def autolog():
    """Switches a flavour's autologging on, and off again after the test."""
    switched = []

    def on(flavour, **options):
        flavour.autolog(**options)
        switched.append(flavour)

    yield on
    for flavour in switched:
        flavour.autolog(disable=True)


def line():
    return LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])


def test_a_model_goes_in_and_comes_out(client, experiment, iris):
    features, target = iris
    model = LogisticRegression(max_iter=200).fit(features, target)
    signature = mlflow.models.infer_signature(features, model.predict(features))
    with mlflow.start_run() as active:
        info = mlflow.sklearn.log_model(model, name="iris", signature=signature, input_example=features[:3], params={"C": 1}, **PLAIN)
    logged = client.get_logged_model(info.model_id)
    assert str(logged.status) == "READY" and logged.source_run_id == active.info.run_id and logged.params["C"] == "1"
    assert [output.model_id for output in client.get_run(active.info.run_id).outputs.model_outputs] == [info.model_id]
    assert {file.path.split("/")[-1] for file in client.list_logged_model_artifacts(info.model_id)} >= {
        "MLmodel",
        "requirements.txt",
        "input_example.json",
    }
    loaded = mlflow.sklearn.load_model(info.model_uri)
    numpy.testing.assert_array_equal(loaded.predict(features), model.predict(features))
    for uri in (info.model_uri, f"runs:/{active.info.run_id}/iris"):
        generic = mlflow.pyfunc.load_model(uri)
        numpy.testing.assert_array_equal(generic.predict(features), model.predict(features))
    with pytest.raises(mlflow.MlflowException, match="schema"):
        generic.predict(pandas.DataFrame({"nothing": [1]}))
    assert mlflow.models.get_model_info(info.model_uri).signature == signature


def test_a_model_of_python(client, experiment):
    class Twice(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            self.factor = float(open(context.artifacts["factor"]).read())

        def predict(self, context, model_input, params=None):
            return model_input * self.factor

    with mlflow.start_run():
        mlflow.log_text("2", "factor.txt")
        artifacts = {"factor": mlflow.get_artifact_uri("factor.txt")}
        info = mlflow.pyfunc.log_model(name="twice", python_model=Twice(), artifacts=artifacts, pip_requirements=[])
    assert mlflow.pyfunc.load_model(info.model_uri).predict(pandas.DataFrame({"x": [1.5]}))["x"].tolist() == [3.0]


def test_a_model_is_registered_and_loaded_by_every_name(client, experiment, name):
    with mlflow.start_run() as active:
        info = mlflow.sklearn.log_model(line(), name="line", registered_model_name=name, **PLAIN)
    assert int(info.registered_model_version) == 1
    version = client.get_model_version(name, "1")
    assert (version.run_id, version.status, version.source) == (active.info.run_id, "READY", f"models:/{info.model_id}")
    with mlflow.start_run():
        mlflow.sklearn.log_model(line(), name="line", registered_model_name=name, **PLAIN)
    client.set_registered_model_alias(name, "best", "1")
    client.transition_model_version_stage(name, "2", "Staging")
    for uri in (f"models:/{name}/1", f"models:/{name}@best", f"models:/{name}/Staging", f"models:/{name}/latest", f"models:/{info.model_id}"):
        assert mlflow.pyfunc.load_model(uri).predict(numpy.array([[2.0]]))[0] == pytest.approx(4)
    by_run = mlflow.register_model(f"runs:/{active.info.run_id}/line", name)
    by_id = mlflow.register_model(f"models:/{info.model_id}", name, tags={"k": "v"})
    assert (int(by_run.version), int(by_id.version)) == (3, 4)
    assert mlflow.pyfunc.load_model(f"models:/{name}/3").predict(numpy.array([[2.0]]))[0] == pytest.approx(4)
    assert name in {found for one in [client.get_logged_model(info.model_id)] for found in str(one.tags).split('"')}


def test_autologging_of_scikit_learn(client, experiment, iris, autolog):
    features, target = iris
    autolog(mlflow.sklearn)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    with mlflow.start_run() as active:
        model.fit(features, target)
        accuracy = model.score(features, target)
    found = client.get_run(active.info.run_id)
    assert found.data.metrics["training_score"] == pytest.approx(accuracy) and found.data.params["logisticregression__max_iter"] == "300"
    assert found.data.tags["estimator_name"] == "Pipeline"
    assert found.inputs.dataset_inputs and found.outputs.model_outputs
    assert {"estimator.html"} <= {file.path for file in client.list_artifacts(active.info.run_id)}
    loaded = mlflow.sklearn.load_model(f"models:/{found.outputs.model_outputs[0].model_id}")
    assert loaded.score(features, target) == accuracy


def test_autologging_of_a_grid_search(client, experiment, iris, autolog):
    features, target = iris
    autolog(mlflow.sklearn, log_models=False, max_tuning_runs=2)
    with mlflow.start_run() as active:
        GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1.0, 10.0]}, cv=2).fit(features, target)
    found = client.get_run(active.info.run_id)
    assert "best_cv_score" in found.data.metrics and found.data.params["best_C"]
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{active.info.run_id}'")
    assert len(children) == 2 and all("mean_test_score" in child.data.metrics for child in children)


def test_autologging_of_xgboost(client, experiment, autolog):
    xgboost = pytest.importorskip("xgboost")
    features, target = make_regression(60, 4, random_state=0)
    autolog(mlflow.xgboost)
    data = xgboost.DMatrix(features, label=target)
    with mlflow.start_run() as active:
        xgboost.train({"max_depth": 2, "objective": "reg:squarederror"}, data, num_boost_round=5, evals=[(data, "train")])
    found = client.get_run(active.info.run_id)
    history = client.get_metric_history(active.info.run_id, "train-rmse")
    assert len(history) >= 5 and found.data.params["max_depth"] == "2"
    assert any("feature_importance" in file.path for file in client.list_artifacts(active.info.run_id))
    model = mlflow.xgboost.load_model(f"models:/{found.outputs.model_outputs[0].model_id}")
    assert model.predict(data).shape == (60,)


def test_autologging_of_lightgbm(client, experiment, autolog):
    lightgbm = pytest.importorskip("lightgbm")
    features, target = make_regression(60, 4, random_state=0)
    autolog(mlflow.lightgbm)
    data = lightgbm.Dataset(features, label=target)
    with mlflow.start_run() as active:
        lightgbm.train({"objective": "regression", "verbose": -1, "num_threads": 1}, data, 5, valid_sets=[data], valid_names=["train"])
    found = client.get_run(active.info.run_id)
    assert len(client.get_metric_history(active.info.run_id, "train-l2")) >= 5 and found.data.params["objective"] == "regression"
    model = mlflow.lightgbm.load_model(f"models:/{found.outputs.model_outputs[0].model_id}")
    assert model.predict(features).shape == (60,)


def test_autologging_of_everything(client, experiment, iris):
    features, target = iris
    # What was said of one flavour by itself goes before what is said of all.
    AUTOLOGGING_INTEGRATIONS.pop("sklearn", None)
    mlflow.autolog(log_models=False, silent=True)
    try:
        LogisticRegression(max_iter=300).fit(features, target)
        active = mlflow.last_active_run()
    finally:
        mlflow.autolog(disable=True)
    assert client.get_run(active.info.run_id).data.params["max_iter"] == "300"


def test_a_classifier_is_evaluated(client, experiment, iris):
    features, target = iris
    is_first = (target == 0).astype(int)
    model = LogisticRegression(max_iter=200).fit(features, is_first)
    with mlflow.start_run() as active:
        info = mlflow.sklearn.log_model(model, name="iris", signature=mlflow.models.infer_signature(features, is_first), **PLAIN)
        data = features.assign(label=is_first)
        result = mlflow.models.evaluate(info.model_uri, data, targets="label", model_type="classifier", evaluator_config={"log_explainer": False})
    found = client.get_run(active.info.run_id)
    assert result.metrics["accuracy_score"] == 1 and found.data.metrics["accuracy_score"] == 1
    assert found.inputs.dataset_inputs and result.artifacts
    by_model = {metric.key: metric.value for metric in client.get_logged_model(info.model_id).metrics}
    assert by_model["accuracy_score"] == 1


def test_predictions_are_evaluated_and_judged(client, experiment):
    data = pandas.DataFrame({"prediction": [1.0, 2.0, 3.0], "truth": [1.0, 2.0, 4.0]})
    with mlflow.start_run() as active:
        result = mlflow.models.evaluate(
            data=data, predictions="prediction", targets="truth", model_type="regressor", evaluator_config={"log_explainer": False}
        )
    assert client.get_run(active.info.run_id).data.metrics["mean_absolute_error"] == pytest.approx(1 / 3)
    threshold = mlflow.models.MetricThreshold(threshold=0.1, greater_is_better=False)
    with pytest.raises(mlflow.MlflowException, match="threshold"):
        mlflow.validate_evaluation_results({"mean_absolute_error": threshold}, result)
