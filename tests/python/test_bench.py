"""The benchmark harness reports what it measured, and nothing else."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from harness import http  # noqa: E402
from harness.comparison import Comparison, Metric, Missing, lines, measure  # noqa: E402


class Side:
    def __init__(self, name, values, missing_at=None):
        self.name, self.values, self.missing_at = name, list(values), missing_at
        self.n_rounds, self.is_closed = 0, False

    def prepare(self):
        if self.missing_at == "prepare":
            raise Missing("not installed")
        return "1.0"

    def round(self):
        self.n_rounds += 1
        if self.missing_at == self.n_rounds:
            raise RuntimeError("it\nfell over")
        return {"time": self.values[self.n_rounds - 1]}

    def close(self):
        self.is_closed = True


def check(metric, ours, peer, want):
    comparison = Comparison("sort", [metric], ours, [peer], rounds=3)
    assert lines(comparison, measure(comparison, lambda _: None)) == [want]
    assert ours.is_closed and peer.is_closed


def test_medians_are_compared():
    metric = Metric("time", "ms", limit=10, times=2)
    want = "bench sort time ours=2ms peer=8ms (Peer) ratio=4 goal=<10ms,>=2x ok"
    check(metric, Side("Ours", [1, 2, 90]), Side("Peer", [8, 8, 8]), want)


def test_a_missed_goal_is_short():
    metric = Metric("time", "/s", lower_is_better=False, times=2)
    want = "bench sort time ours=30/s peer=20/s (Peer) ratio=1.5 goal=>=2x short"
    check(metric, Side("Ours", [30] * 3), Side("Peer", [20] * 3), want)


@pytest.mark.parametrize(("missing_at", "why"), [("prepare", "not installed"), (2, "it fell over")])
def test_a_missing_peer_has_no_figures(missing_at, why):
    metric = Metric("time", "ms", limit=10, times=2)
    want = f"bench sort time ours=2ms peer=missing[{why}] (Peer) ratio=- goal=<10ms,>=2x unknown"
    check(metric, Side("Ours", [2] * 3), Side("Peer", [8] * 3, missing_at), want)


def test_a_missing_self_is_never_ok():
    metric = Metric("time", "ms", limit=10)
    want = "bench sort time ours=missing[not installed] peer=8ms (Peer) ratio=- goal=<10ms unknown"
    check(metric, Side("Ours", [2] * 3, "prepare"), Side("Peer", [8] * 3), want)


def test_percentiles_are_of_the_values():
    assert http.percentile([5, 1, 3], 0.5) == 3
    assert http.percentile([5, 1, 3], 0.99) == 5
