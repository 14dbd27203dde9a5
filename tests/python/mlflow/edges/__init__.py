"""Requests at the edges of MLflow's protocol, as data: what trips those who implement it again.

Each area is played in order against a server, begins with what it needs, and knows nothing of the other areas.
`tests/oracles/mlflow_answers.py` records what MLflow's own server answers; `test_differential.py` compares.
"""

from . import artifacts, metrics, more, registry, runs, search, traces, wire

AREAS = {
    "experiments": runs.EXPERIMENTS,
    "runs": runs.RUNS,
    "parameters": runs.PARAMETERS,
    "inputs": runs.INPUTS,
    "metrics": metrics.METRICS,
    "latest": metrics.LATEST,
    "batch": metrics.BATCH,
    "history": metrics.HISTORY,
    "run_search": search.RUN_SEARCH,
    "experiment_search": search.EXPERIMENT_SEARCH,
    "model_search": search.MODEL_SEARCH,
    "version_search": search.VERSION_SEARCH,
    "logged_search": search.LOGGED_SEARCH,
    "models": registry.MODELS,
    "versions": registry.VERSIONS,
    "aliases": registry.ALIASES,
    "logged": registry.LOGGED,
    "artifacts": artifacts.ARTIFACTS,
    "otlp": traces.OTLP_EDGES,
    "traces": traces.TRACES,
    "assessments": traces.ASSESSMENTS,
    "webhooks": more.WEBHOOKS,
    "datasets": more.DATASETS,
    "scorers": more.SCORERS,
    "wire": wire.WIRE,
}
