"""The point-in-time join of a million examples with three feature views of ten million rows in all, in memory, TTLs included.

All sides make the same rows by the same formula and join them on all cores. Ours is exact where two rows of a view have the same key and
time (the row known last wins); DuckDB's and Polars' joins take any of them, which is less work.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from harness import paths
from harness.comparison import Comparison, Metric

N_ROWS = 1_000_000
METRICS = [Metric("join", "s", times=1)]


class Loopwright:
    name = "Loopwright"

    def prepare(self) -> str:
        paths.ours("examples/pit_bench")
        return paths.our_version()

    def round(self) -> dict[str, float]:
        command = [str(paths.ours("examples/pit_bench")), str(N_ROWS)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.search(r"point_in_time event_time rows=(\d+) .*?seconds=([\d.]+)", output)
        if not found or int(found[1]) != N_ROWS:
            raise RuntimeError(f"the join did not keep every row: {output[:200]}")
        return {"join": float(found[2])}

    def close(self) -> None:
        pass


class Peer:
    """Runs bench/comparisons/asof.py, which does the same with another library, in a process of its own."""

    def __init__(self, name: str, package: str):
        self.name = name
        self.package = package

    def prepare(self) -> str:
        return paths.peer_version(self.package)

    def round(self) -> dict[str, float]:
        script = Path(__file__).with_name("asof.py")
        command = [str(paths.PEER_PYTHON), str(script), self.package, str(N_ROWS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-300:])
        answer = json.loads(done.stdout)
        if answer["rows"] != N_ROWS:
            raise RuntimeError(f"the join kept {answer['rows']} of {N_ROWS} rows")
        return {"join": answer["seconds"]}

    def close(self) -> None:
        pass


def comparison() -> Comparison:
    peers = [Peer("DuckDB", "duckdb"), Peer("Polars", "polars")]
    return Comparison("point_in_time", METRICS, Loopwright(), peers, rounds=3, durability="none: all in memory")
