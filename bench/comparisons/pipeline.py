"""100 steps that do nothing, each durable before what needs it begins: the cost of orchestration alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time

from harness import paths
from harness.comparison import Comparison, Metric

N_STEPS = 100
METRICS = [Metric("chain", "s", limit=0.5, times=20), Metric("wide", "s", limit=0.5, times=20)]


class Loopwright:
    name = "Loopwright"

    def prepare(self) -> str:
        paths.ours("examples/dag_bench")
        return paths.our_version()

    def round(self) -> dict[str, float]:
        folder = paths.WORK / "pipeline"
        folder.mkdir(parents=True, exist_ok=True)
        command = [str(paths.ours("examples/dag_bench")), str(N_STEPS), str(folder)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        shapes = {line["shape"]: line for line in map(json.loads, output.splitlines())}
        if any(line["state"] != "succeeded" for line in shapes.values()):
            raise RuntimeError(f"a run did not succeed: {output}")
        return {name: shapes[name]["seconds"] for name in ("chain", "wide")}

    def close(self) -> None:
        pass


class Prefect:
    """A flow of 100 tasks on Prefect's own temporary server, which keeps its state in SQLite."""

    name = "Prefect"
    flow = """
import json, time
from prefect import flow, task

@task
def noop(_=None):
    return None

@flow
def chain(n):
    result = None
    for _ in range(n):
        result = noop(result)

@flow
def wide(n):
    for future in [noop.submit() for _ in range(n)]:
        future.result()

if __name__ == "__main__":
    chain(1)
    taken = {}
    for name, shape in (("chain", chain), ("wide", wide)):
        begin = time.perf_counter()
        shape(%d)
        taken[name] = time.perf_counter() - begin
    print("TAKEN " + json.dumps(taken))
"""

    def __init__(self) -> None:
        self.folder = paths.WORK / "prefect"

    def prepare(self) -> str:
        return paths.peer_version("prefect")

    def round(self) -> dict[str, float]:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        script = self.folder / "flow.py"
        script.write_text(self.flow % N_STEPS)
        environment = {**os.environ, "PREFECT_HOME": str(self.folder), "PREFECT_LOGGING_LEVEL": "ERROR", "DO_NOT_TRACK": "1"}
        begin = time.perf_counter()
        done = subprocess.run(
            [str(paths.PEER_PYTHON), str(script)], env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        answer = next((line for line in done.stdout.splitlines() if line.startswith("TAKEN ")), None)
        if answer is None:
            raise RuntimeError(f"failed after {time.perf_counter() - begin:.0f} s: {done.stderr[-300:]}")
        return json.loads(answer.removeprefix("TAKEN "))

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def comparison() -> Comparison:
    durability = "ours SQLite WAL synchronous=FULL, one commit a step; Prefect SQLite with its defaults"
    return Comparison("pipeline", METRICS, Loopwright(), [Prefect()], rounds=3, durability=durability)
