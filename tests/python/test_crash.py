"""kill -9 at random moments of a run loses and doubles nothing."""

import random

from conftest import Server, wait_until

N_KILLS = 20


def test_a_run_survives_twenty_kills(project):
    project.run("apply")
    rng = random.Random(20)
    server = Server(project)
    status, _, started = server.call("POST", "/api/v1/models/churn/runs", {})
    assert status == 200, started
    run = started["id"]
    reach, finished = 0.4, 0
    for _ in range(N_KILLS):
        # The moment of the kill is what is random here; nothing is awaited. On a busy machine a step needs longer than the reach of
        # the kills, and one whose process dies ten times is given up: the reach grows until something finishes.
        try:
            wait_until(lambda: False, "", deadline=rng.uniform(0.0, reach))
        except AssertionError:
            pass
        server.kill()
        server = Server(project)
        view = server.call("GET", f"/api/v1/pipeline-runs/{run}")[2]
        before, finished = finished, view["n_succeeded"]
        reach = 0.4 if finished > before or view["state"] == "waiting" else min(1.5 * reach, 4.0)

    def settled():
        view = server.call("GET", f"/api/v1/pipeline-runs/{run}")[2]
        return view if view["state"] in ("waiting", "failed", "refused", "cancelled") else None

    view = wait_until(settled, "the run settling", deadline=120)
    assert view["state"] == "waiting", view
    versions = server.call("GET", "/api/v1/models/churn/versions")[2]["items"]
    assert [version["version"] for version in versions] == [1], "one version, not lost and not doubled"
    tables = {table["name"]: table for table in server.call("GET", "/api/v1/tables")[2]["items"]}
    assert tables["orders"]["n_rows"] == 6503
    assert tables["checkups"]["n_rows"] == 2400
    assert server.call("GET", "/api/v1/ledger/verify")[2]["sound"] is True
    entries = server.call("GET", "/api/v1/ledger/entries?limit=1000")[2]["items"]
    for action, count in [("pipeline_run.start", 1), ("training_set.build", 1), ("model_version.register", 1), ("project.apply", 1)]:
        assert sum(entry["action"] == action for entry in entries) == count, action
    server.kill()
    project.run("approve", "churn@1", "--reason", "reviewed", LOOPWRIGHT_ACTOR="bea")
    assert "churn@1" in project.run("why", "churn").stdout


def test_answered_predictions_survive_a_kill(server):
    row = {"customer_id": "c1", "plan": "free"}
    n_answered = 0
    for number in range(40):
        status, _, _ = server.call("POST", "/api/v1/endpoints/churn/predict", {**row, "checkup_id": f"x{number}"})
        assert status == 200
        n_answered += 1
    server.kill()
    again = Server(server.project)
    try:
        metrics = again.call("GET", "/metrics")[2]
        assert "loopwright" in metrics
    finally:
        again.stop()
    logged = sum(1 for _ in (server.project.root / ".loopwright/tables/prediction/churn").glob("*.parquet"))
    assert logged >= 1, "answers that were given are in the prediction table after the restart"
