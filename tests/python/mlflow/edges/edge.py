"""What an edge request is, and the short hands that the tables are written in.

A text may name what an earlier answer of the same area gave: `$run` stands for what the request that keeps `run` was answered.
`$unique` is another text in every play.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Edge:
    """One request. `keep` names values of its answer by their path in it; `show="runs"` compares names in their order only."""

    label: str
    method: str
    path: str
    body: object = None
    query: dict = field(default_factory=dict)
    raw: bytes | str | None = None
    headers: dict | None = None
    keep: dict = field(default_factory=dict)
    show: str = "all"


V2, V3 = "/api/2.0/mlflow/", "/api/3.0/mlflow/"
AJAX = "/ajax-api/2.0/mlflow/"


def under(path: str) -> str:
    return path if path.startswith("/") else V2 + path


def post(label: str, path: str, body: object = None, **more) -> Edge:
    return Edge(label, "POST", under(path), {} if body is None and "raw" not in more else body, **more)


def patch(label: str, path: str, body: object = None, **more) -> Edge:
    return Edge(label, "PATCH", under(path), body or {}, **more)


def delete(label: str, path: str, body: object = None, **more) -> Edge:
    return Edge(label, "DELETE", under(path), body, **more)


def get(label: str, path: str, query: dict | None = None, **more) -> Edge:
    return Edge(label, "GET", under(path), query=query or {}, **more)


def put(label: str, path: str, raw: bytes | str = b"", **more) -> Edge:
    return Edge(label, "PUT", under(path), raw=raw, **more)


def experiment(name: str = "experiment") -> Edge:
    """Almost every area starts with an experiment of its own."""
    return post(f"an experiment of one's own ({name})", "experiments/create", {"name": f"{name}-$unique"}, keep={name: "experiment_id"})


def run(name: str = "run", **fields) -> Edge:
    body = {"experiment_id": "$experiment", "start_time": 1, "run_name": name, **fields}
    return post(f"a run ({name})", "runs/create", body, keep={name: "run.info.run_id"})
