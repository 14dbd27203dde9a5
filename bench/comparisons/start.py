"""From nothing to the first answer 200, and the memory that an idle server holds. Whole platforms, each with an empty database."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from harness import paths
from harness.comparison import Comparison, Metric
from harness.process import Server, free_port

METRICS = [
    Metric("first_200", "ms", limit=150, times=20),
    Metric("idle_memory", "MB", limit=80),
]
IDLE_SECONDS = 3


class Platform:
    """Starts a server in an empty folder each round."""

    def __init__(self, name: str, path: str):
        self.name = name
        self.path = path
        self.folder = paths.WORK / "start" / name.lower()

    def prepare(self) -> str:
        raise NotImplementedError

    def command(self, port: int, folder: Path) -> list[str]:
        raise NotImplementedError

    def round(self) -> dict[str, float]:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        port = free_port()
        server = Server(self.command(port, self.folder), self.folder / "server.log", folder=self.folder)
        try:
            seconds = server.wait_for_200(port, self.path, timeout=120)
            time.sleep(IDLE_SECONDS)
            return {"first_200": seconds * 1e3, "idle_memory": server.memory_mb()}
        finally:
            server.stop()

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Loopwright(Platform):
    def __init__(self) -> None:
        super().__init__("Loopwright", "/health")

    def prepare(self) -> str:
        paths.ours("loopwright")
        return paths.our_version()

    def command(self, port: int, folder: Path) -> list[str]:
        binary = str(paths.ours("loopwright"))
        return [binary, "--project", str(folder), "--workspace", str(folder / "workspace"), "up", "--listen", f"127.0.0.1:{port}"]


class Mlflow(Platform):
    def __init__(self) -> None:
        super().__init__("MLflow", "/health")

    def prepare(self) -> str:
        return paths.peer_version("mlflow")

    def command(self, port: int, folder: Path) -> list[str]:
        program = str(paths.PEERS / "bin" / "mlflow")
        store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
        return [program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *store]


def comparison() -> Comparison:
    return Comparison("start", METRICS, Loopwright(), [Mlflow()], rounds=3)
