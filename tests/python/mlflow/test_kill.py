"""Eight clients log while the server is killed ten times: what was acknowledged is there, and none of it twice."""

import collections
import threading
import time

import pytest
import requests
from conftest import Project, Server
from mlflow_service import ORACLE

pytestmark = pytest.mark.skipif(bool(ORACLE), reason="it kills the server")
API = "/api/2.0/mlflow/"
N_KILLS, N_CLIENTS, N_POINTS = 10, 8, 20


class Running:
    """The server of the moment; clients ask for its address whenever theirs fails."""

    def __init__(self, project: Project):
        self.project, self.server, self.over = project, Server(project), False

    def kill_and_start(self) -> None:
        self.server.kill()
        self.server = Server(self.project)

    def post(self, session: requests.Session, path: str, body: dict) -> requests.Response | None:
        """The answer, or nothing where the server died before it gave one."""
        headers = {"Authorization": f"Bearer {self.server.token()}"}
        try:
            answer = session.post(self.server.url + API + path, json=body, headers=headers, timeout=30)
        except (requests.RequestException, OSError):
            return None
        assert answer.status_code == 200, answer.text
        return answer


def log(running: Running, run: str, acknowledged: list[int]) -> None:
    """Logs batches, each again until it is acknowledged, as MLflow's client does."""
    step, session = 0, requests.Session()
    while not running.over:
        points = [{"key": "m", "value": point / 4, "timestamp": point, "step": point} for point in range(step, step + N_POINTS)]
        while running.post(session, "runs/log-batch", {"run_id": run, "metrics": points}) is None:
            time.sleep(0.02)
        acknowledged.append(step)
        step += N_POINTS


def test_nothing_acknowledged_is_lost(tmp_path):
    (tmp_path / "project").mkdir()
    running = Running(Project(tmp_path / "project"))
    session = requests.Session()
    experiment = running.post(session, "experiments/create", {"name": "killed"}).json()["experiment_id"]
    runs = [running.post(session, "runs/create", {"experiment_id": experiment}).json()["run"]["info"]["run_id"] for _ in range(N_CLIENTS)]
    acknowledged: dict[str, list[int]] = collections.defaultdict(list)
    clients = [threading.Thread(target=log, args=(running, run, acknowledged[run])) for run in runs]
    for client in clients:
        client.start()
    for number in range(N_KILLS):
        time.sleep(0.2 + 0.05 * number)
        running.kill_and_start()
    running.over = True
    for client in clients:
        client.join(60)
    for run in runs:
        address = f"{running.server.url}{API}metrics/get-history?run_id={run}&metric_key=m"
        answer = requests.get(address, headers={"Authorization": f"Bearer {running.server.token()}"}, timeout=60)
        steps = [int(point["step"]) for point in answer.json()["metrics"]]
        assert len(steps) == len(set(steps)), "a point is there twice"
        assert {point for step in acknowledged[run] for point in range(step, step + N_POINTS)} <= set(steps)
        assert len(acknowledged[run]) > 0
    running.server.kill()
