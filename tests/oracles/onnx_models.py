"""Writes small ONNX models of real libraries, and what ONNX Runtime predicts with them, for the tests of crates/onnx.

    python tests/oracles/onnx_models.py

The models go to crates/onnx/tests/golden/<name>.onnx, inputs and predictions to golden/<name>.json.
"""

import json
import pathlib

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas
from onnx import TensorProto, helper
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType as MlFloat
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

GOLDEN = pathlib.Path(__file__).parents[2] / "crates/onnx/tests/golden"
OPSETS = {"": 17, "ai.onnx.ml": 3}
N_ROWS = 43  # not a multiple of the block size, so that both ways down the trees are taken


def numbers(seed, n_rows, n_columns, missing=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, n_columns)).astype(np.float32)
    x[rng.random(x.shape) < missing] = np.nan
    return x


def target(x, seed):
    rng = np.random.default_rng(seed)
    filled = np.nan_to_num(x)
    return filled[:, 0] * 2 + np.sin(3 * filled[:, 1]) + (filled[:, 2] > 0.3) + rng.normal(scale=0.3, size=len(x))


def save(name, model, inputs, original=None):
    """Runs the model and writes it with its inputs, its outputs and, if given, the scores of the original model in 64 bits."""
    for entry in list(model.metadata_props):
        model.metadata_props.remove(entry)
    model.doc_string = ""
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    outputs = session.run(None, inputs)
    record = {"inputs": {}, "outputs": {}}
    for key, value in inputs.items():
        record["inputs"][key] = [None if isinstance(cell, float) and np.isnan(cell) else cell for cell in value.ravel().tolist()]
    for declared, value in zip(session.get_outputs(), outputs):
        if isinstance(value, list):  # ZipMap: a dictionary a row
            value = np.array([list(row.values()) for row in value], dtype=np.float32)
        record["outputs"][declared.name] = value.ravel().tolist()
    if original is not None:
        record["original"] = np.asarray(original, dtype=float).ravel().tolist()
    (GOLDEN / f"{name}.onnx").write_bytes(content)
    (GOLDEN / f"{name}.json").write_text(json.dumps(record) + "\n")
    print(f"{name}: {len(content)} bytes")


def boosting(name, model, x, y, zipmap=False):
    model.fit(x, y)
    converted = convert_lightgbm(model, initial_types=[("x", MlFloat([None, x.shape[1]]))], zipmap=zipmap, target_opset=15)
    rows = numbers(99, N_ROWS, x.shape[1], 0.1)
    original = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)
    save(name, converted, {"x": rows}, original)


def lightgbm_models():
    x = numbers(1, 800, 6, missing=0.1)
    y = target(x, 2)
    options = {"n_estimators": 12, "num_leaves": 15, "verbose": -1, "n_jobs": 1}
    boosting("lightgbm_binary", lightgbm.LGBMClassifier(**options), x, (y > 0.5).astype(int))
    boosting("lightgbm_zipmap", lightgbm.LGBMClassifier(**{**options, "n_estimators": 3}), x, (y > 0.5).astype(int), zipmap=True)
    boosting("lightgbm_regression", lightgbm.LGBMRegressor(**options), x, y)
    boosting("lightgbm_classes", lightgbm.LGBMClassifier(**{**options, "n_estimators": 4}), x, np.digitize(y, [-1, 1]))


def sklearn_model(name, model, x, y, rows, types, zipmap=False):
    model.fit(x, y)
    options = {id(model): {"zipmap": zipmap}} if hasattr(model, "predict_proba") else {}
    converted = convert_sklearn(model, initial_types=types, options=options, target_opset=OPSETS)
    inputs = {key: rows[[key]].to_numpy() for key in rows} if isinstance(rows, pandas.DataFrame) else {"x": rows}
    for key, value in inputs.items():
        if value.dtype == np.float64:
            inputs[key] = value.astype(np.float32)
    original = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)
    save(name, converted, inputs, original)


def sklearn_models():
    x = numbers(3, 400, 5)
    y = target(x, 4)
    rows = numbers(98, N_ROWS, 5)
    types = [("x", FloatTensorType([None, 5]))]
    two, three = (y > 0.5).astype(int), np.digitize(y, [-1, 1])
    sklearn_model("forest_binary", RandomForestClassifier(8, max_depth=5, random_state=0), x, two, rows, types)
    sklearn_model("forest_classes", RandomForestClassifier(5, max_depth=4, random_state=0), x, three + 5, rows, types)
    sklearn_model("forest_regression", RandomForestRegressor(5, max_depth=4, random_state=0), x, y, rows, types)
    sklearn_model("gradient_boosting", GradientBoostingClassifier(n_estimators=8, random_state=0), x, two, rows, types)
    sklearn_model("one_tree", DecisionTreeClassifier(max_depth=4, random_state=0), x, np.where(two, "yes", "no"), rows, types)
    sklearn_model("scaled_logistic", make_pipeline(StandardScaler(), LogisticRegression()), x * 50 + 7, two, rows * 50 + 7, types)
    sklearn_model("logistic_classes", make_pipeline(Normalizer(), LogisticRegression()), x, three, rows, types)
    sklearn_model("linear_regression", make_pipeline(StandardScaler(), LinearRegression()), x, y, rows, types)
    scaled_forest = make_pipeline(StandardScaler(), RandomForestClassifier(6, max_depth=5, random_state=0))
    sklearn_model("scaled_forest", scaled_forest, x, two, rows, types)


def frame(seed, n_rows, missing):
    rng = np.random.default_rng(seed)
    distance = rng.normal(1000, 400, n_rows).astype(np.float32)
    distance[rng.random(n_rows) < missing] = np.nan
    return pandas.DataFrame({
        "carrier": rng.choice(["AA", "B6", "Zürich", "ÆØ"], n_rows).astype(object),
        "origin": rng.choice(["EWR", "JFK", "LGA"], n_rows).astype(object),
        "hour": rng.integers(0, 24, n_rows),
        "distance": distance,
    })


def column_models():
    data, rows = frame(5, 400, 0.0), frame(6, N_ROWS, 0.0)
    rows.loc[0, "carrier"] = "never seen"
    y = (data.hour > 12) ^ (data.carrier == "AA")
    names = np.where(y, "late", "on time")
    types = [
        ("carrier", StringTensorType([None, 1])),
        ("origin", StringTensorType([None, 1])),
        ("hour", Int64TensorType([None, 1])),
        ("distance", FloatTensorType([None, 1])),
    ]
    columns = ColumnTransformer([
        ("number", StandardScaler(), ["hour", "distance"]),
        ("text", OneHotEncoder(handle_unknown="ignore"), ["carrier", "origin"]),
    ])
    sklearn_model("columns_logistic", make_pipeline(columns, LogisticRegression()), data, y.astype(int), rows, types, zipmap=True)

    gaps, gap_rows = frame(7, 400, 0.2), frame(8, N_ROWS, 0.2)
    columns = ColumnTransformer([
        ("number", SimpleImputer(), ["distance"]),
        ("text", OrdinalEncoder(), ["carrier", "origin"]),
    ])
    types = [types[0], types[1], types[3]]
    gaps, gap_rows = gaps.drop(columns="hour"), gap_rows.drop(columns="hour")
    sklearn_model("columns_imputed", make_pipeline(columns, LogisticRegression()), gaps, names, gap_rows, types)


def two_class_corners():
    """The cases of TreeEnsembleClassifier that the specification leaves open."""
    shared = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [0.0, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
    }
    cases = []
    for post_transform in ["NONE", "LOGISTIC", "SOFTMAX"]:
        for base in [[], [0.1], [0.1, 0.2]]:
            for labels in [[0, 1], [7, 9]]:
                for ids, weights in [
                    ([0, 0], [0.3, 0.8]), ([1, 1], [0.3, 0.8]), ([0, 0], [-0.3, 0.8]), ([1, 1], [-0.3, 0.8]),
                    ([0, 1, 0, 1], [0.2, 0.7, 0.6, -0.4]),
                ]:
                    cases.append((post_transform, base, labels, ids, weights))
        cases.append((post_transform, [], [7, 8, 9], [0, 1, 2, 1], [-0.2, -0.7, -0.6, -0.4]))
        cases.append((post_transform, [0.1, 0.2, 0.9], [7, 8, 9], [0, 1, 2, 1], [0.2, 0.7, 0.6, 0.4]))
    records = []
    rows = np.array([[-1.0], [1.0], [np.nan]], dtype=np.float32)
    for post_transform, base, labels, ids, weights in cases:
        nodes = [1, 2] if len(ids) == 2 else [1, 1, 2, 2]
        attributes = dict(shared, class_treeids=[0] * len(ids), class_nodeids=nodes, class_ids=ids, class_weights=weights)
        attributes.update(classlabels_int64s=labels, post_transform=post_transform)
        if base:
            attributes["base_values"] = base
        node = helper.make_node("TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", **attributes)
        graph = helper.make_graph(
            [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
            [helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
             helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, len(labels)])],
        )
        opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)]
        content = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
        found, scores = onnxruntime.InferenceSession(content).run(None, {"x": rows})
        case = {"post_transform": post_transform, "base": base, "labels": labels, "nodes": nodes, "ids": ids, "weights": weights}
        records.append({**case, "label": found.tolist(), "scores": scores.ravel().tolist()})
    (GOLDEN / "corners").mkdir(exist_ok=True)
    (GOLDEN / "corners/two_classes.json").write_text(json.dumps(records) + "\n")


def tree_ensemble_5():
    """The operator that replaces both older ones since ai.onnx.ml 5."""
    node = helper.make_node(
        "TreeEnsemble", ["x"], ["prediction"], domain="ai.onnx.ml", n_targets=2, aggregate_function=1, post_transform=0,
        tree_roots=[0, 2], nodes_featureids=[0, 1, 1], nodes_modes=helper.make_tensor("m", TensorProto.UINT8, [3], [0, 1, 3]),
        nodes_splits=helper.make_tensor("s", TensorProto.FLOAT, [3], [0.5, -0.25, 0.1]),
        nodes_truenodeids=[1, 0, 3], nodes_trueleafs=[0, 1, 1], nodes_falsenodeids=[2, 1, 4], nodes_falseleafs=[1, 1, 1],
        nodes_missing_value_tracks_true=[1, 0, 1], leaf_targetids=[0, 1, 0, 1, 1],
        leaf_weights=helper.make_tensor("w", TensorProto.FLOAT, [5], [1.5, -2.0, 0.25, 3.0, -0.75]),
    )
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("", 21)], ir_version=10)
    save("tree_ensemble_5", model, {"x": numbers(9, N_ROWS, 2, 0.1)})


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    lightgbm_models()
    sklearn_models()
    column_models()
    two_class_corners()
    tree_ensemble_5()
    assert onnx.__version__ and onnxruntime.__version__
