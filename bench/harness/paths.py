"""Where things are: our binaries, the peers' environment, and the folder for what the benchmarks write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .comparison import Missing

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".tools" / "bench"
PEERS = WORK / "peers"
PEER_PYTHON = PEERS / "bin" / "python"


def target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def ours(name: str) -> Path:
    """A program of ours: optimised if built so. `LOOPWRIGHT_BENCH_PROFILE=debug` chooses the other one, and the header says so."""
    profile = os.environ.get("LOOPWRIGHT_BENCH_PROFILE", "release")
    path = target() / profile / name
    if not path.exists():
        raise Missing(f"{name} is not built ({profile})")
    return path


def our_version() -> str:
    profile = os.environ.get("LOOPWRIGHT_BENCH_PROFILE", "release")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return f"{commit.stdout.strip() or 'unknown'} ({profile})"


def install_peers() -> None:
    """Puts the peers of bench/requirements.lock into their own environment, once."""
    lock = ROOT / "bench" / "requirements.lock"
    stamp = PEERS / ".lock"
    if stamp.exists() and stamp.read_text() == lock.read_text():
        return
    print("bench: installing the peers", file=sys.stderr)
    PEERS.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    pip = [str(PEER_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "-r", str(lock)], check=True)
    stamp.write_text(lock.read_text())


def install_mlflow() -> Path:
    """Puts MLflow's newest release, which names parts that are not published, over the peers' environment; returns where it is."""
    lock = ROOT / "bench" / "mlflow.lock"
    target, stamp = WORK / "mlflow", WORK / "mlflow" / ".lock"
    if not (stamp.exists() and stamp.read_text() == lock.read_text()):
        pip = [str(PEER_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--upgrade"]
        subprocess.run([*pip, "--target", str(target), "-r", str(lock)], check=True)
        stamp.write_text(lock.read_text())
    return target


def peer_version(package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    if not PEER_PYTHON.exists():
        raise Missing("the peers are not installed")
    answer = subprocess.run([str(PEER_PYTHON), "-c", code], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise Missing(f"{package} is not installed")
    return f"{package} {answer.stdout.strip()}"
