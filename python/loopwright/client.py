"""Finding a server, and everything that hangs on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ._errors import ConnectionFailed
from ._resources import Endpoint, FeatureView, Model, Run, TrainingSet
from ._transport import Transport


def connect(
    url: str | None = None,
    *,
    token: str | None = None,
    workspace: str | os.PathLike[str] | None = None,
    actor: str | None = None,
    timeout_s: float = 60.0,
) -> Client:
    """Connects to a server.

    ``url`` and ``token`` come from ``LOOPWRIGHT_SERVER`` and ``LOOPWRIGHT_TOKEN`` if they are left out, and else from the server that
    runs on the workspace (``LOOPWRIGHT_WORKSPACE``, or ``.loopwright`` here). ``actor`` says who acts where the token is the
    workspace's own; a token of somebody's own says so itself.

    Raises :class:`ConnectionFailed` if no server is named and none runs.
    """
    folder = Path(workspace or os.environ.get("LOOPWRIGHT_WORKSPACE") or ".loopwright")
    url = url or os.environ.get("LOOPWRIGHT_SERVER") or _running(folder)
    if url is None:
        hint = "start one with `loopwright up` in the project, or give url="
        raise ConnectionFailed(f"no server runs on the workspace {folder}", hint=hint)
    token = token or os.environ.get("LOOPWRIGHT_TOKEN") or _token(folder)
    return Client(Transport(url, token, actor or os.environ.get("LOOPWRIGHT_ACTOR"), timeout_s))


def _running(workspace: Path) -> str | None:
    """The address of the server that runs on a workspace, as it announces itself there."""
    try:
        announced = json.loads((workspace / "server.json").read_text())
    except (OSError, ValueError):
        return None
    return str(announced["url"]) if _is_alive(int(announced["pid"])) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _token(workspace: Path) -> str | None:
    try:
        return (workspace / "token").read_text().strip()
    except OSError:
        return None


class Client:
    """One server. Use it as a context manager, or close it."""

    def __init__(self, transport: Transport):
        self._transport = transport

    @property
    def url(self) -> str:
        return self._transport.url

    def status(self) -> dict[str, Any]:
        """Version, time, endpoints and champions of the server."""
        answer: dict[str, Any] = self._transport.get("/api/v1/status")
        return answer

    def models(self) -> Iterator[Model]:
        """Every model, by name."""
        after: str | None = None
        while True:
            items = self._transport.get("/api/v1/models", after=after, limit=200)["items"]
            yield from (Model(self._transport, item["name"], item) for item in items)
            if len(items) < 200:
                return
            after = items[-1]["name"]

    def model(self, name: str) -> Model:
        """A model by its name. Whether there is one shows when it is asked something."""
        return Model(self._transport, name, None)

    def endpoint(self, name: str) -> Endpoint:
        """An endpoint by its name."""
        return Endpoint(self._transport, name)

    def features(self, view: str) -> FeatureView:
        """A feature view by its name."""
        return FeatureView(self._transport, view)

    def training_set(self, name: str, version: int) -> TrainingSet:
        """A training set by its name, which is that of its model, and its version."""
        return TrainingSet(self._transport, self._transport.get(f"/api/v1/training-sets/{name}/{version}"))

    def start(self, pipeline: str, **params: str) -> Run:
        """Starts a pipeline: a model's, or one of the project's own with its parameters."""
        started = self._transport.post(f"/api/v1/pipelines/{pipeline}/runs", {"params": params} if params else {})
        return Run(self._transport, started)

    def run(self, run: str) -> Run:
        """A pipeline's run by its id, the first digits of it, or the pipeline's name for its newest run."""
        return Run(self._transport, self._transport.get(f"/api/v1/pipeline-runs/{run}"))

    def search_runs(
        self,
        filter: str = "",
        *,
        experiments: Sequence[str] | None = None,
        order_by: Sequence[str] = (),
        metrics: Sequence[str] | None = None,
        params: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Tracked runs that match, newest first unless ``order_by`` says otherwise, page by page.

        ``filter`` is MLflow's grammar and beyond it OR, NOT, parentheses and BETWEEN:
        ``metrics.auc > 0.7 AND (params.depth = '3' OR NOT tags.stage = 'test')``. ``experiments`` are names or ids, all if left out.
        If ``metrics``, ``params`` or ``tags`` are given, runs bring those and nothing else of what they logged.
        """
        wanted = {"experiments": experiments, "metrics": metrics, "params": params, "tags": tags}
        body: dict[str, Any] = {name: list(keys) for name, keys in wanted.items() if keys is not None}
        body |= {"filter": filter, "order_by": list(order_by), "limit": 1000}
        while True:
            page = self._transport.post("/api/v1/runs/search", body)
            yield from page["items"]
            if not page["next_page_token"]:
                return
            body["page_token"] = page["next_page_token"]

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
