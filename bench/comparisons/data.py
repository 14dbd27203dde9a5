"""Ten checks of a contract over ten million rows from a Parquet file: columns and their order, a type, nulls, ranges, a unique column, a set, patterns.

All sides read the same file on all cores and count every offender. Ours also names the first ones of each rule. Time is the operation with its reading
of the file, without the start of the process; memory is the peak of the process.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from harness import paths
from harness.comparison import Comparison, Metric

N_ROWS = 10_000_000
METRICS = [Metric("checks", "s", times=1), Metric("memory", "MB", limit=500)]


def data() -> Path:
    """The file, which is written once."""
    path = paths.WORK / "data" / f"validate-{N_ROWS}.parquet"
    if not path.exists():
        script = Path(__file__).with_name("contract_data.py")
        subprocess.run([str(paths.PEER_PYTHON), str(script), str(N_ROWS), str(path)], check=True)
    return path


class Loopwright:
    name = "Loopwright"

    def prepare(self) -> str:
        paths.ours("examples/check_bench")
        data()
        return paths.our_version()

    def round(self) -> dict[str, float]:
        command = [str(paths.ours("examples/check_bench")), str(data())]
        output, peak_mb = measured(command)
        found = re.search(r"rows=(\d+) broken=(\d+) seconds=([\d.]+)", output)
        if not found or int(found[1]) != N_ROWS or int(found[2]):
            raise RuntimeError(f"the file keeps its contract, and ours said otherwise: {output[:300]}")
        return {"checks": float(found[3]), "memory": peak_mb}

    def close(self) -> None:
        pass


class Peer:
    """Runs bench/comparisons/contract_peers.py, which does the same with another library, in a process of its own."""

    def __init__(self, name: str, package: str, script_name: str):
        self.name = name
        self.package = package
        self.script_name = script_name

    def prepare(self) -> str:
        data()
        return paths.peer_version(self.package)

    def round(self) -> dict[str, float]:
        script = Path(__file__).with_name("contract_peers.py")
        command = [str(paths.PEER_PYTHON), str(script), self.script_name, str(data())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-300:])
        answer = json.loads(done.stdout)
        if answer["rows"] != N_ROWS or any(answer["broken"].values()):
            raise RuntimeError(f"the file keeps its contract, and {self.name} said otherwise: {answer}")
        return {"checks": answer["seconds"], "memory": answer["peak_mb"]}

    def close(self) -> None:
        pass


def measured(command: list[str]) -> tuple[str, float]:
    """The output of a program and the peak of its memory, as the system accounts for it when it ends."""
    import os

    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return output, usage.ru_maxrss / 1024


def comparison() -> Comparison:
    peers = [Peer("DuckDB", "duckdb", "duckdb"), Peer("pandera on Polars", "pandera", "pandera")]
    return Comparison("data", METRICS, Loopwright(), peers, rounds=3, durability="none: nothing is written")
