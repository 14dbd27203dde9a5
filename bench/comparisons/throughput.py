"""As many predictions as one server gives: rows in batches, and single requests on many connections.

Both sides do what they do in `predict`: ours looks up online features, computes the request-time expressions and logs every row; the peer
gets finished numbers and logs nothing. The client, one process, is the same for both and shares the machine with them.
"""

from __future__ import annotations

from harness.comparison import Comparison, Metric
from harness.http import Connection, answers_per_second

from . import predict

N_ROWS, N_BATCH_CONNECTIONS, N_CONNECTIONS = 500, 2, 16
SECONDS, WARM_UP_SECONDS = 5.0, 1.0
METRICS = [
    Metric("rows", "/s", lower_is_better=False, limit=5_000, times=1),
    Metric("requests", "/s", lower_is_better=False, times=1),
]


def rates(port: int, path: str, token: str | None, batches: list[object], singles: list[object]) -> dict[str, float]:
    connection = Connection(port)
    try:
        as_bytes = [[connection.request("POST", path, body, token) for body in bodies] for bodies in (batches, singles)]
    finally:
        connection.close()
    found = []
    for requests, n_connections in zip(as_bytes, (N_BATCH_CONNECTIONS, N_CONNECTIONS)):
        answers_per_second(port, requests, n_connections, WARM_UP_SECONDS)
        found.append(answers_per_second(port, requests, n_connections, SECONDS))
    return {"rows": found[0] * N_ROWS, "requests": found[1]}


class Loopwright(predict.Loopwright):
    def round(self) -> dict[str, float]:
        flights = predict.flights()
        batches = [{"rows": [flights[(start + row) % len(flights)] for row in range(N_ROWS)]} for start in range(10)]
        return rates(self.port, predict.PATH, self.token_file.read_text().strip(), batches, flights)


class FastApi(predict.FastApi):
    def round(self) -> dict[str, float]:
        singles = predict.numbers()
        batches = [{"inputs": [singles[(start + row) % 100]["inputs"][0] for row in range(N_ROWS)]} for start in range(10)]
        return rates(self.port, "/predict", None, batches, singles)


def comparison() -> Comparison:
    return Comparison("throughput", METRICS, Loopwright(), [FastApi()], rounds=3, durability=predict.DURABILITY)
