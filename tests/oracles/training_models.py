"""Fits models with scikit-learn and LightGBM itself, for the tests of crates/training.

    python tests/oracles/training_models.py

Writes crates/training/tests/golden/models.json: the rows, and what the models predict for them.
"""

import json
import pathlib

import lightgbm
import numpy as np
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

GOLDEN = pathlib.Path(__file__).parents[2] / "crates/training/tests/golden"
N_ROWS = 400


def rows():
    rng = np.random.default_rng(20)
    distance = rng.normal(1000, 400, N_ROWS).round(1).astype(np.float32)
    delay = rng.exponential(20, N_ROWS).round(2).astype(np.float32)
    hour = rng.integers(0, 24, N_ROWS).astype(np.float32)
    delay[rng.random(N_ROWS) < 0.15] = np.nan
    carrier = rng.choice(["AA", "B6", "UA", "Zürich"], N_ROWS)
    score = 0.04 * np.nan_to_num(delay, nan=30) + 0.1 * hour - 0.001 * distance + (carrier == "B6") - 1.2
    late = rng.random(N_ROWS) < 1 / (1 + np.exp(-score))
    minutes = (20 * score + rng.normal(0, 5, N_ROWS)).round(3)
    return pandas.DataFrame({
        "distance": distance, "delay": delay, "hour": hour, "carrier": carrier, "late": late.astype(float), "minutes": minutes,
    })


def linear(data, model, label):
    columns = ColumnTransformer([
        ("number", make_pipeline(StandardScaler(), SimpleImputer()), ["distance", "delay", "hour"]),
        ("text", OneHotEncoder(), ["carrier"]),
    ])
    numbers = data.astype({"distance": float, "delay": float, "hour": float})
    fitted = make_pipeline(columns, model).fit(numbers, data[label])
    if hasattr(fitted, "predict_proba"):
        return fitted.predict_proba(numbers)[:, 1].tolist()
    return fitted.predict(numbers).tolist()


def boosting(data, objective, label):
    x = data[["distance", "delay", "hour"]].to_numpy(np.float32)
    params = {
        "objective": objective, "num_leaves": 7, "learning_rate": 0.2, "min_data_in_leaf": 10, "lambda_l2": 0.5, "seed": 3,
        "deterministic": True, "force_row_wise": True, "num_threads": 2, "verbosity": -1,
    }
    booster = lightgbm.train(params, lightgbm.Dataset(x, label=data[label].to_numpy(np.float32)), num_boost_round=25)
    return booster.predict(x).tolist()


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    data = rows()
    record = {
        "rows": {name: [None if cell != cell else cell for cell in data[name].tolist()] for name in data},
        "logistic": {str(l2): linear(data, LogisticRegression(C=1 / l2, tol=1e-12, max_iter=100_000), "late") for l2 in [0.1, 10.0]},
        "ridge": {str(l2): linear(data, Ridge(alpha=l2), "minutes") for l2 in [0.1, 10.0]},
        "boosting": {"late": boosting(data, "binary", "late"), "minutes": boosting(data, "regression", "minutes")},
    }
    (GOLDEN / "models.json").write_text(json.dumps(record) + "\n")
