"""Clients that write runs in processes of their own, so that what is measured is the server: each connection creates a run, logs 100 metrics
to it in one batch, and begins anew. The bytes are made beforehand; of an answer no more is read than the run's id."""

from __future__ import annotations

import json
import multiprocessing
import re
import selectors
import time
from dataclasses import dataclass

from .http import Connection, is_whole

N_METRICS = 100
MARK = re.compile(rb'"run_id": ?"([0-9a-f]{32})"')
PLACE = "0" * 32


@dataclass
class Written:
    """What the writers of one measurement did. Times are milliseconds."""

    pairs: int
    seconds: float
    creates: list[float]
    batches: list[float]

    @property
    def pairs_per_second(self) -> float:
        return self.pairs / self.seconds


def write(port: int, token: str | None, experiment: str, n_connections: int, seconds: float, n_processes: int = 2) -> Written:
    """Writes pairs on all connections for so many seconds; the first second of each does not count."""
    context = multiprocessing.get_context("fork")
    begin = time.monotonic() + 0.5
    answers = context.Queue()
    shares = [n_connections // n_processes + (number < n_connections % n_processes) for number in range(n_processes)]
    workers = [context.Process(target=work, args=(answers, port, token, experiment, share, begin, seconds)) for share in shares if share]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=seconds + 120) for _ in workers]
    for worker in workers:
        worker.join()
    failed = [one for one in found if isinstance(one, str)]
    if failed:
        raise RuntimeError(failed[0])
    creates, batches = ([value for one in found for value in one[index]] for index in (0, 1))
    return Written(len(batches), seconds, creates, batches)


def work(answers, port: int, token: str | None, experiment: str, n_connections: int, begin: float, seconds: float) -> None:
    try:
        answers.put(pairs(port, token, experiment, n_connections, begin, seconds))
    except (RuntimeError, OSError, ValueError) as error:
        answers.put(f"{type(error).__name__}: {error}")


def pairs(port: int, token: str | None, experiment: str, n_connections: int, begin: float, seconds: float) -> tuple[list[float], list[float]]:
    connections = [Connection(port) for _ in range(n_connections)]
    create, before, after = requests(connections[0], token, experiment)
    time.sleep(max(0.0, begin - time.monotonic()))
    from_time, to_time = begin + 1.0, begin + 1.0 + seconds
    taken: tuple[list[float], list[float]] = ([], [])
    selector = selectors.DefaultSelector()
    state = {}
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.socket.sendall(create)
        state[connection] = [0, time.monotonic(), b""]
    try:
        while (now := time.monotonic()) < to_time:
            for key, _ in selector.select(timeout=60):
                connection = key.data
                step, asked, answer = state[connection]
                answer += connection.more()
                if not is_whole(answer):
                    state[connection][2] = answer
                    continue
                now = time.monotonic()
                if from_time <= now <= to_time:
                    taken[step].append((now - asked) * 1e3)
                if step == 0:
                    request = before + MARK.search(answer)[1] + after
                else:
                    request = create
                connection.socket.sendall(request)
                state[connection] = [1 - step, now, b""]
        return taken
    finally:
        selector.close()
        for connection in connections:
            connection.close()


def requests(connection: Connection, token: str | None, experiment: str) -> tuple[bytes, bytes, bytes]:
    """The request that creates a run, and the one that logs to it, cut where the run's id stands."""
    tags = [{"key": "mlflow.user", "value": "b"}, {"key": "mlflow.source.name", "value": "b.py"}]
    create = {"experiment_id": experiment, "start_time": 1_700_000_000_000, "run_name": "r", "tags": tags}
    metrics = [{"key": f"m{number}", "value": number / 7, "timestamp": 1_700_000_000_000, "step": 0} for number in range(N_METRICS)]
    batch = connection.request("POST", "/api/2.0/mlflow/runs/log-batch", {"run_id": PLACE, "metrics": metrics, "params": [], "tags": []}, token)
    before, after = batch.split(PLACE.encode())
    return connection.request("POST", "/api/2.0/mlflow/runs/create", create, token), before, after


def id_in(answer: bytes) -> str:
    return json.loads(answer)["run"]["info"]["run_id"]
