"""How near writing comes to what SQLite gives: pairs a second through our server against a bare program with the same rows and commits.

The bare program is `crates/tracking/examples/log_bench.rs`: no protocol, no checks, no ledger but its bytes; rows of runs and metrics, four
pairs a commit, as eight clients share one with us. Build it with `cargo build --release -p lw-tracking --example log_bench`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time

from harness import paths
from harness.comparison import Comparison, Metric
from harness.process import free_port
from harness.writers import write

from . import tracking

SECONDS = 6
METRICS = [Metric("pairs", "/s", lower_is_better=False, times=0.5)]


class Loopwright(tracking.Loopwright):
    def prepare(self) -> str:
        paths.ours("loopwright")
        return paths.our_version()

    def round(self) -> dict[str, float]:
        shutil.rmtree(self.folder / "empty", ignore_errors=True)
        (self.folder / "empty").mkdir(parents=True)
        port = free_port()
        server = self.start(port, is_filled=False)
        try:
            server.wait_for_200(port, "/health", timeout=60)
            token = (self.folder / "empty" / "workspace" / "token").read_text().strip()
            experiment = tracking.Caller(port, token).create_experiment(f"written-{time.time_ns()}")
            return {"pairs": write(port, token, experiment, tracking.N_CONNECTIONS, SECONDS).pairs_per_second}
        finally:
            server.stop()


class BareSqlite:
    name = "SQLite alone"

    def prepare(self) -> str:
        self.program = paths.ours("examples/log_bench")
        self.folder = paths.WORK / "tracking" / "bare"
        self.folder.mkdir(parents=True, exist_ok=True)
        return "the same rows and commits"

    def round(self) -> dict[str, float]:
        command = [str(self.program), str(SECONDS), "100"]
        done = subprocess.run(command, env={**os.environ, "TMPDIR": str(self.folder)}, capture_output=True, text=True, check=True)
        found = re.search(r"the limit, a bare program: (\d+) pairs/s", done.stdout)
        if not found:
            raise RuntimeError(f"the program said {done.stdout[:160]!r}")
        return {"pairs": float(found[1])}

    def close(self) -> None:
        pass


def comparison() -> Comparison:
    return Comparison("tracking_limit", METRICS, Loopwright(), [BareSqlite()], rounds=3, durability=tracking.SQLITE_DURABILITY)
