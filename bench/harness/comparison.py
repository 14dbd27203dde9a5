"""A comparison: the same work done by us and by peers, in turn, several rounds in one run."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Callable, Protocol


class Missing(Exception):
    """A side cannot run on this machine. The message says why; no figure is made up for it."""


class Side(Protocol):
    """One contestant. `round` does the work once and returns a value for every metric."""

    name: str

    def prepare(self) -> str:
        """Sets up once and returns the versions that matter. Raises Missing if the side cannot run here."""

    def round(self) -> dict[str, float]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Metric:
    """What is measured. A goal is `limit` (an absolute bound on our value) or `times` (how many times better than the peer)."""

    name: str
    unit: str
    lower_is_better: bool = True
    limit: float | None = None
    times: float | None = None

    def ratio(self, ours: float, peer: float) -> float:
        """How many times better ours is; below 1 the peer is better."""
        return peer / ours if self.lower_is_better else ours / peer

    def goal_text(self) -> str:
        parts = []
        if self.limit is not None:
            parts.append(f"{'<' if self.lower_is_better else '>'}{self.limit:g}{self.unit}")
        if self.times is not None:
            parts.append(f">={self.times:g}x")
        return ",".join(parts) or "-"

    def verdict(self, ours: float | None, ratio: float | None) -> str:
        """`ok`, `short`, or `unknown` where what the goal needs was not measured."""
        if ours is None or (self.times is not None and ratio is None):
            return "unknown"
        within = self.limit is None or (ours <= self.limit if self.lower_is_better else ours >= self.limit)
        ahead = self.times is None or ratio >= self.times
        return "ok" if within and ahead else "short"


@dataclass
class Comparison:
    name: str
    metrics: list[Metric]
    ours: Side
    peers: list[Side]
    rounds: int = 5
    durability: str = "not concerned"


@dataclass
class Measured:
    """A side's values, or why there are none."""

    name: str
    version: str = ""
    missing: str | None = None
    values: dict[str, list[float]] = field(default_factory=dict)

    def median(self, metric: str) -> float | None:
        values = self.values.get(metric)
        return statistics.median(values) if values else None


def measure(comparison: Comparison, say: Callable[[str], None]) -> list[Measured]:
    """Runs all sides in turn, round by round, so that a change of the machine's mood meets all of them. Ours comes first."""
    sides = [comparison.ours, *comparison.peers]
    results = [Measured(side.name) for side in sides]
    try:
        for side, result in zip(sides, results):
            attempt(result, lambda: setattr(result, "version", side.prepare()))
        for number in range(1, comparison.rounds + 1):
            for side, result in zip(sides, results):
                if result.missing is None:
                    say(f"{comparison.name}: round {number} of {comparison.rounds}, {side.name}")
                    attempt(result, lambda: keep(result, side.round()))
    finally:
        for side in sides:
            side.close()
    return results


def attempt(result: Measured, action: Callable[[], None]) -> None:
    """A side that fails is reported as missing, with the reason, and its values are dropped."""
    try:
        action()
    except (Missing, OSError, RuntimeError) as error:
        result.missing = " ".join(str(error).split())[:200] or type(error).__name__
        result.values.clear()


def keep(result: Measured, values: dict[str, float]) -> None:
    for metric, value in values.items():
        result.values.setdefault(metric, []).append(value)


def lines(comparison: Comparison, results: list[Measured]) -> list[str]:
    """`bench NAME METRIC ours=… peer=… (PEER) ratio=… goal=… ok|short`, one line a metric and peer."""
    ours, *peers = results
    found = []
    for metric in comparison.metrics:
        for peer in peers or [Measured("none", missing="no peer")]:
            our_value, peer_value = ours.median(metric.name), peer.median(metric.name)
            ratio = metric.ratio(our_value, peer_value) if our_value and peer_value else None
            found.append(
                f"bench {comparison.name} {metric.name} ours={shown(our_value, metric.unit, ours.missing)}"
                f" peer={shown(peer_value, metric.unit, peer.missing)} ({peer.name})"
                f" ratio={'-' if ratio is None else f'{ratio:.3g}'} goal={metric.goal_text()} {metric.verdict(our_value, ratio)}"
            )
    return found


def shown(value: float | None, unit: str, missing: str | None) -> str:
    if value is None:
        return f"missing[{missing or 'not measured'}]"
    return f"{value:.0f}{unit}" if abs(value) >= 1000 else f"{value:.4g}{unit}"
