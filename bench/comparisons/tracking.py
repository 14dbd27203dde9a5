"""What MLflow's client asks of a tracking server: writing runs, single metrics, search, history, start, memory; on SQLite and on PostgreSQL.

Both sides get the same bytes from the same client, and hold the same 10,000 runs and the same metric of 100,000 points. Ours was filled
through its API; MLflow's database was filled by SQL once and is copied, since its server needs minutes for it. MLflow's server runs in
both its modes, with the workers and the job runner that it starts by default, and with one worker and no jobs: the goals hold against
each, and so against the better one. Both ask SQLite and PostgreSQL to wait for the disk.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from harness import paths
from harness.comparison import Comparison, Metric, Missing
from harness.http import Connection, percentile
from harness.process import Server, free_port
from harness.writers import id_in, write

N_RUNS, N_POINTS, N_CONNECTIONS = 10_000, 100_000, 8
WRITE_SECONDS, N_SINGLES, IDLE_SECONDS = 6.0, 300, 3
API = "/api/2.0/mlflow/"
TIME = 1_700_000_000_000
SEARCH = {"filter": "metrics.m0 > 0.5", "order_by": ["metrics.m1 DESC"], "max_results": 100}
METRICS = [
    Metric("pairs", "/s", lower_is_better=False, times=60),
    Metric("log_metric_p50", "ms", times=8),
    Metric("log_metric_p99", "ms", times=8),
    Metric("search", "ms", times=60),
    Metric("history", "ms", times=40),
    Metric("slowest_while_writing", "ms", limit=50),
    Metric("first_200", "ms", times=50),
    Metric("idle_memory", "MB", times=8),
]
# On PostgreSQL, where MLflow's search is better planned, the goal is to be ahead of what its rewrite in Rust says of itself: batches 2.1
# times, search 5.3 times and history 50 times as fast as MLflow's own server.
AHEAD_OF_REWRITE = {"pairs": 2.1, "search": 5.3, "history": 50}
POSTGRES_METRICS = [replace(metric, times=AHEAD_OF_REWRITE.get(metric.name, metric.times)) for metric in METRICS]
SQLITE_DURABILITY = "SQLite of both waits for the disk at each commit (synchronous FULL; MLflow's is SQLite's default, without WAL)"
POSTGRES_DURABILITY = "PostgreSQL of both waits for the disk (fsync on, synchronous_commit on)"


class Caller:
    """One connection that speaks MLflow's protocol."""

    def __init__(self, port: int, token: str | None):
        self.connection, self.token = Connection(port), token

    def request(self, method: str, path: str, body: object = None) -> bytes:
        return self.connection.request(method, API + path, body, self.token)

    def exchange(self, request: bytes) -> bytes:
        status, answer = self.connection.exchange(request)
        if status != 200:
            raise RuntimeError(f"answer {status}: {answer[:200].decode(errors='replace')}")
        return answer

    def timed(self, request: bytes) -> tuple[float, bytes]:
        begin = time.perf_counter()
        answer = self.exchange(request)
        return (time.perf_counter() - begin) * 1e3, answer

    def post(self, path: str, body: object) -> dict:
        return json.loads(self.exchange(self.request("POST", path, body)))

    def create_experiment(self, name: str) -> str:
        return self.post("experiments/create", {"name": name})["experiment_id"]

    def create_run(self, experiment: str, **fields) -> str:
        return id_in(self.exchange(self.request("POST", "runs/create", {"experiment_id": experiment, "start_time": TIME, **fields})))


def measured(port: int, token: str | None, searched: str, long_run: str, n_searches: int) -> dict[str, float]:
    """All but start and memory, on a server that holds the runs."""
    caller = Caller(port, token)
    experiment = caller.create_experiment(f"written-{time.time_ns()}")
    run = caller.create_run(experiment)
    point = {"run_id": run, "key": "loss", "value": 0.5, "timestamp": TIME}
    singles = [caller.request("POST", "runs/log-metric", {**point, "step": step}) for step in range(N_SINGLES + 20)]
    taken = [caller.timed(request)[0] for request in singles][20:]
    search = caller.request("POST", "runs/search", {"experiment_ids": [searched], **SEARCH})
    searches = [caller.timed(search) for _ in range(n_searches)]
    n_found = len(json.loads(searches[-1][1]).get("runs", []))
    history = caller.request("GET", f"metrics/get-history?run_id={long_run}&metric_key=loss")
    histories = [caller.timed(history) for _ in range(3)]
    n_points = len(json.loads(histories[-1][1]).get("metrics", []))
    if (n_found, n_points) != (100, N_POINTS):
        raise RuntimeError(f"the search gave {n_found} runs and the history {n_points} points")
    written, slowest_read = while_reading(port, token, experiment, run)
    return {
        "pairs": written.pairs_per_second,
        "log_metric_p50": percentile(taken, 0.50),
        "log_metric_p99": percentile(taken, 0.99),
        "search": statistics.median(ms for ms, _ in searches),
        "history": statistics.median(ms for ms, _ in histories),
        "slowest_while_writing": max([slowest_read, *written.creates, *written.batches]),
    }


def while_reading(port: int, token: str | None, experiment: str, run: str):
    """Eight clients write; a ninth reads a run, lists the newest ones, and logs a metric, at its ease."""
    over, slowest = threading.Event(), [0.0]
    reader = Caller(port, token)
    requests = [
        reader.request("GET", f"runs/get?run_id={run}"),
        reader.request("POST", "runs/search", {"experiment_ids": [experiment], "max_results": 20}),
        reader.request("POST", "runs/log-metric", {"run_id": run, "key": "aside", "value": 1, "timestamp": TIME, "step": 0}),
    ]

    def read() -> None:
        while not over.wait(0.02):
            slowest[0] = max(slowest[0], *(reader.timed(request)[0] for request in requests))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        written = write(port, token, experiment, N_CONNECTIONS, WRITE_SECONDS)
    finally:
        over.set()
        thread.join()
    return written, slowest[0]


class Tracking:
    """A side: each round starts it empty for the times of the start, and then on its runs."""

    name = ""
    n_searches = 5

    def __init__(self, database: Postgres | None = None):
        self.database = database
        self.folder = paths.WORK / "tracking" / (self.name.lower().replace(" ", "-").replace(",", "") + ("-postgres" if database else ""))

    def round(self) -> dict[str, float]:
        shutil.rmtree(self.folder / "empty", ignore_errors=True)
        (self.folder / "empty").mkdir(parents=True)
        port = free_port()
        server = self.start(port, is_filled=False)
        try:
            first = server.wait_for_200(port, "/health", timeout=180)
            time.sleep(IDLE_SECONDS)
            values = {"first_200": first * 1e3, "idle_memory": server.memory_mb()}
        finally:
            server.stop()
        port = free_port()
        server = self.start(port, is_filled=True)
        try:
            server.wait_for_200(port, "/health", timeout=180)
            token, searched, long_run = self.contents(port)
            return {**values, **measured(port, token, searched, long_run, self.n_searches)}
        finally:
            server.stop()

    def start(self, port: int, is_filled: bool) -> Server:
        raise NotImplementedError

    def contents(self, port: int) -> tuple[str | None, str, str]:
        """The token, the experiment with the runs, and the run with the history."""
        raise NotImplementedError

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.database:
            self.database.close()


class Loopwright(Tracking):
    name = "Loopwright"
    n_searches = 50

    def prepare(self) -> str:
        """Fills a workspace through the API, once; each round goes on with it."""
        paths.ours("loopwright")
        if self.database:
            self.database.open()
            self.addresses = {is_filled: self.database.fresh(f"ours_{is_filled}".lower()) for is_filled in (True, False)}
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "filled").mkdir(parents=True)
        port = free_port()
        server = self.start(port, is_filled=True)
        try:
            server.wait_for_200(port, "/health", timeout=60)
            self.filled = fill(port, self.token())
        finally:
            server.stop()
        return paths.our_version()

    def token(self) -> str:
        return (self.folder / "filled" / "workspace" / "token").read_text().strip()

    def start(self, port: int, is_filled: bool) -> Server:
        folder = self.folder / ("filled" if is_filled else "empty")
        if self.database and not is_filled:
            self.addresses[False] = self.database.fresh("ours_false")
        store = ["--metadata", self.addresses[is_filled]] if self.database else []
        command = [str(paths.ours("loopwright")), "--project", str(folder), "--workspace", str(folder / "workspace"), *store]
        return Server([*command, "up", "--listen", f"127.0.0.1:{port}"], folder / "server.log", folder=folder)

    def contents(self, port: int) -> tuple[str | None, str, str]:
        return self.token(), *self.filled


def fill(port: int, token: str) -> tuple[str, str]:
    """Writes the runs and the long metric through the API, with connections side by side, which share commits."""
    local = threading.local()

    def caller() -> Caller:
        if not hasattr(local, "caller"):
            local.caller = Caller(port, token)
        return local.caller

    def write_run(number: int) -> None:
        chance = random.Random(number)
        tags = [{"key": "team", "value": f"t{number % 7}"}, {"key": "mlflow.user", "value": "b"}]
        run = caller().create_run(searched, start_time=TIME + number, run_name=f"run-{number}", tags=tags)
        metrics = [{"key": f"m{index}", "value": chance.random(), "timestamp": TIME, "step": 0} for index in range(5)]
        params = [{"key": f"p{index}", "value": str(chance.randint(0, 9))} for index in range(5)]
        caller().post("runs/log-batch", {"run_id": run, "metrics": metrics, "params": params})

    def write_points(begin: int) -> None:
        points = [{"key": "loss", "value": 1 / (1 + step), "timestamp": TIME + step, "step": step} for step in range(begin, begin + 1000)]
        caller().post("runs/log-batch", {"run_id": long_run, "metrics": points})

    searched = caller().create_experiment("searched")
    long_run = caller().create_run(caller().create_experiment("history"))
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(write_run, range(N_RUNS)))
        list(pool.map(write_points, range(0, N_POINTS, 1000)))
    return searched, long_run


class Mlflow(Tracking):
    name = "MLflow, 1 worker"
    options = ["--workers", "1"]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def prepare(self) -> str:
        if not paths.PEER_PYTHON.exists():
            raise Missing("the peers are not installed")
        packages = paths.install_mlflow()
        self.variables = {"PYTHONPATH": str(packages), "MLFLOW_DISABLE_TELEMETRY": "true", **self.environment}
        if self.database:
            self.database.open()
            self.uri = self.database.fresh("mlflow_filled").replace("postgres://", "postgresql+psycopg2://")
            self.filled = self.fill(self.uri)
        else:
            self.filled = self.cached()
        return (
            subprocess.run([str(paths.PEER_PYTHON), "-m", "mlflow", "--version"], env=self.variables, capture_output=True, text=True, check=True)
            .stdout.strip()
            .replace(", version", "")
        )

    def cached(self) -> list[str]:
        """The filled database, made once for each version of MLflow."""
        self.cache = paths.WORK / "tracking-cache" / "mlflow.db"
        ids = self.cache.with_suffix(".ids")
        if not ids.exists():
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            self.cache.unlink(missing_ok=True)
            ids.write_text(" ".join(self.fill(f"sqlite:///{self.cache}")))
        return ids.read_text().split()

    def fill(self, uri: str) -> list[str]:
        script = Path(__file__).resolve().parents[1] / "harness" / "mlflow_fill.py"
        # Without -P the folder of the script, which has an `http`, would come first.
        command = [str(paths.PEER_PYTHON), "-P", str(script), uri, str(N_RUNS), str(N_POINTS)]
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"MLflow's database could not be filled: {done.stderr[-160:]}")
        return done.stdout.split()[-2:]

    def start(self, port: int, is_filled: bool) -> Server:
        if self.database:
            uri = self.uri if is_filled else self.database.fresh("mlflow_empty").replace("postgres://", "postgresql+psycopg2://")
        else:
            file = self.folder / "empty" / f"mlflow-{is_filled}.db"
            if is_filled:
                shutil.copy(self.cache, file)
            uri = f"sqlite:///{file}"
        store = ["--backend-store-uri", uri, "--artifacts-destination", str(self.folder / "empty" / "artifacts")]
        command = [str(paths.PEER_PYTHON), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *self.options, *store]
        return Server(command, self.folder / "server.log", environment=self.variables, folder=self.folder / "empty")

    def contents(self, port: int) -> tuple[str | None, str, str]:
        return None, self.filled[0], self.filled[1]


class MlflowByDefault(Mlflow):
    name = "MLflow"
    options: list[str] = []
    environment: dict[str, str] = {}


class Postgres:
    """A PostgreSQL of its own that waits for the disk, shared by all sides."""

    def __init__(self) -> None:
        self.port, self.address, self.n_users = free_port(), "", 0

    def script(self, action: str) -> str:
        environment = {**os.environ, "PGPORT": str(self.port), "LOOPWRIGHT_POSTGRES_FSYNC": "on"}
        done = subprocess.run(
            [str(paths.ROOT / "scripts" / "postgres-test.sh"), action], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Missing(f"PostgreSQL does not start: {done.stderr[-160:]}")
        return done.stdout.strip()

    def open(self) -> None:
        self.n_users += 1
        if not self.address:
            self.address = self.script("start")

    def fresh(self, name: str) -> str:
        """An empty database."""
        psql = shutil.which("psql") or str(next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))), "psql"))
        for statement in (f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}"):
            subprocess.run([psql, self.address, "-qc", statement], check=True, capture_output=True)
        return self.address.rsplit("/", 1)[0] + f"/{name}"

    def close(self) -> None:
        if self.address:
            self.script("stop")
            self.address = ""


def comparison() -> Comparison:
    return Comparison("tracking", METRICS, Loopwright(), [Mlflow(), MlflowByDefault()], rounds=3, durability=SQLITE_DURABILITY)


def on_postgres() -> Comparison:
    database = Postgres()
    return Comparison("tracking_postgres", POSTGRES_METRICS, Loopwright(database), [Mlflow(database)], rounds=2, durability=POSTGRES_DURABILITY)
