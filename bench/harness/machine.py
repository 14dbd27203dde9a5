"""What the figures depend on besides the programs."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path


def facts(folder: Path) -> dict[str, object]:
    memory_kb = int(next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")).split()[1])
    models = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kb / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "fsync_4k_ms_p50": round(fsync_ms(folder), 3),
        "load_1m": round(os.getloadavg()[0], 2),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def fsync_ms(folder: Path) -> float:
    """The median time to make 4 KiB durable where the benchmarks write."""
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(50):
            begin = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken)
