"""The wire itself: paths, methods, types of content, coding, hosts and origins."""

from __future__ import annotations

from .edge import experiment, get, post

CREATE = "/api/2.0/mlflow/experiments/create"
TEXT = {"Content-Type": "text/plain"}

WIRE = [
    experiment(),
    get("an unknown endpoint", "nope"),
    get("an unknown endpoint of v3", "/api/3.0/mlflow/nope"),
    post("an unknown endpoint by POST", "nope", {}),
    get("another method", "runs/create"),
    get("a preview path", "/api/2.0/preview/mlflow/experiments/get", {"experiment_id": "0"}),
    get("the console's path", "/ajax-api/2.0/mlflow/experiments/get", {"experiment_id": "$experiment"}),
    post("JSON that is none", CREATE, raw=b"{bad"),
    post("JSON that is a list", CREATE, raw=b"[]"),
    post("no body", CREATE, raw=b""),
    post("another type", CREATE, raw=b'{"name":"type-$unique"}', headers=TEXT),
    post(
        "a type with a character set",
        CREATE,
        raw='{"name":"charset-$unique"}',
        headers={"Content-Type": "application/json; charset=utf-8"},
        show="status",
    ),
    post("coded twice", CREATE, raw='"{\\"name\\": \\"double-$unique\\"}"', show="status"),
    post("null for a name", CREATE, {"name": None}),
    post("an unknown field", CREATE, {"name": "unknown-$unique", "zzz": {"a": 1}}, show="status"),
    post("a list for a name", CREATE, {"name": ["a"]}),
    post("an object for a name", CREATE, {"name": {"a": 1}}),
    post("a truth value for a name", CREATE, {"name": True}),
    get("a name twice in a query", "experiments/get-by-name", {"experiment_name": ["a", "experiment-$unique"]}),
    get("health", "/health"),
    get("version", "/version"),
    get("ping", "/ping"),
    get("metrics", "/metrics", show="status"),
    get("what the server can", "/api/3.0/mlflow/server-info"),
    get("what the server can, for the console", "/ajax-api/3.0/mlflow/server-info"),
    get("what the server can, as of old", "/api/3.0/mlflow/server-features"),
    get("workspaces", "/api/3.0/mlflow/workspaces"),
    get("users", "/api/2.0/mlflow/users/get", {"username": "a"}),
    post("graphql", "/graphql", {"query": "{__typename}"}),
    get("a foreign host asks for health", "/health", headers={"Host": "evil.example"}),
    get("a foreign host", "experiments/get", {"experiment_id": "0"}, headers={"Host": "evil.example"}),
    post("a foreign origin", "experiments/search", {"max_results": 1}, headers={"Content-Type": "application/json", "Origin": "http://evil.example"}),
]
