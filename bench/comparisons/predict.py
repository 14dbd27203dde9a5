"""One prediction over HTTP, one row at a time on one connection: the latency that an application sees.

Ours answers from a deployed model of examples/flights: it looks up online features, computes the request-time expressions and logs the
prediction durably. The peer, FastAPI with ONNX Runtime, gets the finished numbers of a model of the same size, and logs nothing: it does
less, so a ratio above 1 is understated.
"""

from __future__ import annotations

import subprocess
import sys

from harness import paths
from harness.comparison import Comparison, Metric, Missing
from harness.http import Connection, latencies_ms, percentile
from harness.process import Server, free_port

N_REQUESTS = 3_000
PATH = "/api/v1/endpoints/late_arrival/predict"
DURABILITY = "ours has every prediction in the log's file before it answers and synced within 5 ms; FastAPI logs nothing"
METRICS = [Metric("p50", "ms", limit=1), Metric("p99", "ms", times=1)]


def summary(port: int, path: str, bodies: list[object], token: str | None) -> dict[str, float]:
    connection = Connection(port)
    try:
        requests = [connection.request("POST", path, body, token) for body in bodies]
        taken = latencies_ms(connection, requests, N_REQUESTS)
    finally:
        connection.close()
    return {"p50": percentile(taken, 0.50), "p99": percentile(taken, 0.99)}


class Loopwright:
    name = "Loopwright"

    def __init__(self) -> None:
        self.folder = paths.WORK / "predict"
        self.workspace = self.folder / "workspace"
        self.server: Server | None = None
        self.port = free_port()

    def prepare(self) -> str:
        """Serves the workspace that the demo leaves behind, or says how to make it."""
        binary = paths.ours("loopwright")
        demo = paths.ROOT / "target" / "demo" / "workspace"
        if not (demo / "metadata.db").exists():
            raise Missing("there is no deployed model; run `make demo` first")
        command = [str(binary), "--project", str(paths.ROOT / "examples" / "flights"), "--workspace", str(demo)]
        self.token_file = demo / "token"
        self.server = Server([*command, "up", "--listen", f"127.0.0.1:{self.port}"], self.folder / "loopwright.log")
        self.server.wait_for_200(self.port, "/health", timeout=60)
        return paths.our_version()

    def round(self) -> dict[str, float]:
        return summary(self.port, PATH, flights(), self.token_file.read_text().strip())

    def close(self) -> None:
        if self.server:
            self.server.stop()


def flights() -> list[object]:
    """Different requests, so that no answer is the one before."""
    carriers, destinations = ["UA", "AA", "B6", "DL", "EV"], ["ORD", "ATL", "LAX", "BOS"]
    request = {"tailnum": "N14228", "distance": 719.0}
    return [
        {**request, "carrier": carriers[n % 5], "origin": ["EWR", "JFK", "LGA"][n % 3], "dest": destinations[n % 4],
         "scheduled_at": f"2013-12-{1 + n % 28:02d}T{6 + n % 16:02d}:00:00Z"}
        for n in range(100)
    ]


def numbers() -> list[dict]:
    """What the peer is asked: rows of finished numbers."""
    return [{"inputs": [[(n * 37 + column * 11) % 100 / 10 for column in range(20)]]} for n in range(100)]


class FastApi:
    """FastAPI with ONNX Runtime, one worker, the model as scikit-learn would export it: 100 trees over 20 numbers."""

    name = "FastAPI+onnxruntime"
    app = """
import sys
import numpy, onnxruntime, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
app = FastAPI()

class Request(BaseModel):
    inputs: list[list[float]]

@app.get("/healthz")
def healthy():
    return {"ok": True}

@app.post("/predict")
async def predict(request: Request):
    outputs = session.run(None, {"input": numpy.asarray(request.inputs, numpy.float32)})
    return {"outputs": outputs[-1].tolist()}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
"""

    def __init__(self) -> None:
        self.folder = paths.WORK / "predict"
        self.server: Server | None = None
        self.port = free_port()

    def prepare(self) -> str:
        versions = ", ".join(paths.peer_version(name) for name in ("fastapi", "uvicorn", "onnxruntime"))
        self.folder.mkdir(parents=True, exist_ok=True)
        script, model = self.folder / "fastapi_app.py", self.folder / "trees.onnx"
        script.write_text(self.app)
        maker = paths.ROOT / "bench" / "comparisons" / "trees.py"
        subprocess.run([str(paths.PEER_PYTHON), str(maker), str(model)], check=True, stdout=sys.stderr)
        self.server = Server([str(paths.PEER_PYTHON), str(script), str(model), str(self.port)], self.folder / "fastapi.log")
        self.server.wait_for_200(self.port, "/healthz", timeout=60)
        return versions

    def round(self) -> dict[str, float]:
        return summary(self.port, "/predict", numbers(), None)

    def close(self) -> None:
        if self.server:
            self.server.stop()


def comparison() -> Comparison:
    return Comparison("predict", METRICS, Loopwright(), [FastApi()], rounds=5, durability=DURABILITY)


