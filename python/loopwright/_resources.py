"""What a server holds, as objects that know where they live."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ._errors import LoopwrightError, Refused, TimedOut
from ._transport import Transport

#: Rows that an endpoint takes at once.
MAX_ROWS = 10_000
#: Entities of one look-up.
MAX_ENTITIES = 10_000


@dataclass(frozen=True)
class Why:
    """The five answers about a model: which version runs, what data trained it, which features it uses, who approved it, what changed.

    ``text`` is what ``loopwright why`` prints, ``evidence`` the ledger entries that prove it, ``facts`` everything as data.
    """

    text: str
    evidence: list[Any]
    facts: dict[str, Any]

    def __str__(self) -> str:
        return self.text


class Model:
    """A model and its versions."""

    def __init__(self, transport: Transport, name: str, summary: Mapping[str, Any] | None):
        self._transport = transport
        self.name = name
        self.summary = summary

    def versions(self) -> Iterator[ModelVersion]:
        """Every version, newest first."""
        before: int | None = None
        while True:
            items = self._transport.get(f"/api/v1/models/{self.name}/versions", before=before, limit=100)["items"]
            yield from (ModelVersion(self._transport, self.name, item["version"]) for item in items)
            if len(items) < 100:
                return
            before = items[-1]["version"]

    def version(self, number: int) -> ModelVersion:
        """One version by its number."""
        return ModelVersion(self._transport, self.name, number)

    def why(self, version: int | None = None) -> Why:
        """The five answers about the champion, or about one version."""
        facts = self._transport.get(f"/api/v1/models/{self.name}/why", version=version)
        return Why(text=facts.pop("text"), evidence=facts.pop("evidence"), facts=facts)

    def __repr__(self) -> str:
        return f"Model({self.name!r})"


class ModelVersion:
    """One immutable version of a model."""

    def __init__(self, transport: Transport, model: str, number: int):
        self._transport = transport
        self.model = model
        self.number = number

    def show(self) -> dict[str, Any]:
        """Summary, recipe, signature, lineage, artifacts and the report's facts."""
        answer: dict[str, Any] = self._transport.get(self._path())
        return answer

    @property
    def state(self) -> str:
        """Where the version stands now: ``registered``, ``passed gates``, ``approved by 1 of 2``, ``approved``, ``canary``,
        ``champion`` or ``refused by …``."""
        return str(self.show()["summary"]["state"])

    @property
    def metrics(self) -> dict[str, float]:
        """What its evaluation measured."""
        return dict(self.show()["summary"]["metrics"] or {})

    def approve(self, reason: str, *, report: str | None = None, as_actor: str | None = None) -> str:
        """Approves the version as it was evaluated. ``report`` is the digest of the report that was read: if another one is attached
        by now, nothing happens and :class:`ConflictError` says so. Returns what came of it."""
        return self._decide("grant", reason, report, as_actor)

    def refuse(self, reason: str, *, report: str | None = None, as_actor: str | None = None) -> str:
        """Refuses the version, which outweighs every approval. Returns what came of it."""
        return self._decide("refuse", reason, report, as_actor)

    def reproduce(self) -> dict[str, Any]:
        """Builds the version again from its record and compares digests, metrics and libraries."""
        answer: dict[str, Any] = self._transport.post(f"{self._path()}/reproduce")
        return answer

    def training_set(self) -> TrainingSet:
        """The training set that the version was trained on."""
        for reference in self.show()["lineage"]:
            if reference["role"] == "training_set":
                subject = reference["subject"]
                name, number = subject["name"], subject["version"]
                return TrainingSet(self._transport, self._transport.get(f"/api/v1/training-sets/{name}/{number}"))
        hint = "a version that a client registered names its datasets in its run"
        raise LoopwrightError(f"{self.model}@{self.number} has no training set of Loopwright's own", hint=hint)

    def _decide(self, verdict: str, reason: str, report: str | None, as_actor: str | None) -> str:
        body: dict[str, Any] = {"verdict": verdict, "reason": reason}
        if report is not None:
            body["report"] = report
        return str(self._transport.post(f"{self._path()}/approvals", body, actor=as_actor)["message"])

    def _path(self) -> str:
        return f"/api/v1/models/{self.model}/versions/{self.number}"

    def __repr__(self) -> str:
        return f"ModelVersion({self.model}@{self.number})"


class Endpoint:
    """What answers predictions under a name."""

    def __init__(self, transport: Transport, name: str):
        self._transport = transport
        self.name = name

    def predict(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Scores one row of request fields: ``score``, ``predicted``, and which ``model`` and ``version`` said so."""
        return self.predict_many([row])[0]

    def predict_many(self, rows: Sequence[Mapping[str, Any]] | pa.Table) -> list[dict[str, Any]]:
        """Scores many rows, in requests of up to 10,000; the answers come in the order of the rows."""
        plain = rows.to_pylist() if isinstance(rows, pa.Table) else [dict(row) for row in rows]
        answers: list[dict[str, Any]] = []
        for start in range(0, len(plain), MAX_ROWS):
            body = {"rows": plain[start : start + MAX_ROWS]}
            answers.extend(self._transport.post(f"/api/v1/endpoints/{self.name}/predict", body)["predictions"])
        return answers

    def show(self) -> dict[str, Any]:
        """The fields of a request, the versions behind the endpoint, and how each has fared."""
        answer: dict[str, Any] = self._transport.get(f"/api/v1/endpoints/{self.name}")
        return answer

    def roll_back(self, reason: str) -> dict[str, Any]:
        """Puts back what stood behind the endpoint before."""
        answer: dict[str, Any] = self._transport.post(f"/api/v1/endpoints/{self.name}/rollback", {"reason": reason})
        return answer

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r})"


class FeatureView:
    """Features of an entity, computed once for training and serving."""

    def __init__(self, transport: Transport, name: str):
        self._transport = transport
        self.name = name

    def show(self) -> dict[str, Any]:
        """Definition, types, and how far the view is online."""
        answer: dict[str, Any] = self._transport.get(f"/api/v1/feature-views/{self.name}")
        return answer

    def lookup(self, entities: Sequence[Mapping[str, Any]], *, at: str | None = None) -> pa.Table:
        """The online features of entities, one row each, in their order: the features, ``state`` (``found``, ``expired`` or
        ``missing``) and ``event_time``. ``at`` is the time of the prediction they would be for (RFC 3339), now if left out."""
        rows: list[dict[str, Any]] = []
        for start in range(0, len(entities), MAX_ENTITIES):
            body: dict[str, Any] = {"entities": [dict(entity) for entity in entities[start : start + MAX_ENTITIES]]}
            if at is not None:
                body["at"] = at
            answer = self._transport.post(f"/api/v1/feature-views/{self.name}/lookup", body)
            rows.extend({**item["features"], "state": item["state"], "event_time": item["event_time"]} for item in answer["items"])
        return pa.Table.from_pylist(rows)

    def __repr__(self) -> str:
        return f"FeatureView({self.name!r})"


class TrainingSet:
    """An immutable training set: examples joined with what was known when they were predicted."""

    def __init__(self, transport: Transport, facts: dict[str, Any]):
        self._transport = transport
        self.facts = facts
        self.name: str = facts["name"]
        self.version: int = facts["version"]
        self.n_rows: int = facts["n_rows"]
        #: The digest of the ordered rows: a rebuilt training set has the same.
        self.content: str = facts["content"]

    def to_arrow(self) -> pa.Table:
        """All rows, in the set's own order. Columns: ``example_id``, ``predicted_at``, ``label``, ``label_known_at``, then features."""
        table = self._transport.arrow(f"/api/v1/training-sets/{self.name}/{self.version}/rows")
        if table.num_rows != self.n_rows:
            raise LoopwrightError(f"{self.name}@{self.version} has {self.n_rows} rows, but {table.num_rows} came", code="bug")
        return table

    def to_pandas(self) -> Any:
        """:meth:`to_arrow` as a pandas data frame; pandas must be installed."""
        return self.to_arrow().to_pandas()

    def __repr__(self) -> str:
        return f"TrainingSet({self.name}@{self.version}, {self.n_rows} rows)"


class Run:
    """A run of a pipeline."""

    #: States from which a run does not go on by itself.
    ENDS = frozenset({"succeeded", "refused", "failed", "cancelled", "waiting"})

    def __init__(self, transport: Transport, facts: dict[str, Any]):
        self._transport = transport
        self.facts = facts
        self.id: str = facts["id"]

    @property
    def state(self) -> str:
        """As of the last :meth:`refresh`."""
        return str(self.facts["state"])

    def refresh(self) -> Run:
        """Asks the server where the run stands."""
        self.facts = self._transport.get(f"/api/v1/pipeline-runs/{self.id}")
        return self

    def wait(self, timeout_s: float = 3600.0, *, poll_s: float = 0.5) -> Run:
        """Waits until the run has ended or waits for somebody. Raises :class:`Refused` if a gate said no, :class:`LoopwrightError`
        if it failed or was cancelled, and :class:`TimedOut` if it still runs after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while self.refresh().state not in self.ENDS:
            if time.monotonic() > deadline:
                raise TimedOut(f"run {self.id} is still {self.state} after {timeout_s:g} s")
            time.sleep(poll_s)
        if self.state in {"succeeded", "waiting"}:
            return self
        error = self.facts.get("error") or {}
        kind = Refused if self.state == "refused" else LoopwrightError
        message = error.get("message") or self.facts.get("message") or f"run {self.id} {self.state}"
        raise kind(str(message), code=str(error.get("code", "")), hint=error.get("hint"))

    def logs(self, step: str | None = None) -> Iterator[dict[str, Any]]:
        """The log lines so far, oldest first."""
        after: int | None = None
        while True:
            items = self._transport.get(f"/api/v1/pipeline-runs/{self.id}/logs", step=step, after=after, limit=500)["items"]
            yield from items
            if not items:
                return
            after = items[-1]["cursor"]

    def __repr__(self) -> str:
        return f"Run({self.id}, {self.state})"
