"""Data that stay away, skew between serving and training, and scripts that run as they were applied."""

import json

import pytest

from conftest import Server, wait_until

ROW = {"customer_id": "c1", "plan": "free"}


@pytest.fixture
def promised(trained):
    """A server on a project whose orders have to be of the last two days; they are of 2024."""
    trained.edit("sources/orders.yaml", "  on_failure: quarantine", "  freshness: 1m\n  on_failure: quarantine")
    trained.run("apply")
    running = Server(trained)
    yield running
    if running.process.poll() is None:
        running.kill()


def test_a_stale_table_is_told_everywhere(promised):
    def fired():
        items = promised.call("GET", "/api/v1/alerts")[2]["items"]
        return [item for item in items if item["subject"] == "table/orders" and item["state"] == "firing"]

    alert = wait_until(fired, "the alert about stale orders")[0]
    assert alert["monitor"] == "freshness"
    orders = (promised.project.root / "data/orders.csv").read_text().splitlines()[1:]
    newest = max(order.split(",")[1] for order in orders)[:10]
    assert newest in alert["reasons"][0] and "limit 1m" in alert["reasons"][0]
    fresh = {item["name"]: item for item in promised.call("GET", "/api/v1/freshness")[2]["items"]}
    assert fresh["orders"]["alert"] == "firing" and fresh["orders"]["limit"] == "1m"
    assert "table/orders freshness" in promised.call("GET", "/api/v1/status")[2]["firing"]
    metrics = promised.call("GET", "/metrics")[2]
    assert 'loopwright_alert_firing{subject="table/orders",monitor="freshness"} 1' in metrics
    assert 'loopwright_data_age_limit_seconds{subject="table/orders"} 60' in metrics
    assert metrics.rstrip().endswith("# EOF")
    promised.stop()
    text = promised.project.run("alerts").stdout
    assert "table/orders" in text and "freshness" in text
    entries = promised.project.run("audit", "log", "--subject", "alert/table/orders/freshness").stdout
    assert "alert.fire" in entries


def test_predictions_are_computed_again_and_compared(server):
    project = server.project
    for customer in ["c1", "c2", "c3"]:
        status, _, answer = server.call("POST", "/api/v1/endpoints/churn/predict", {**ROW, "customer_id": customer})
        assert status == 200, answer
    status, _, skew = server.call("GET", "/api/v1/models/churn/skew?window=1h")
    assert status == 200, skew
    assert skew["n_sampled"] == skew["n_rows"] == 3
    assert {item["column"]: item["share"] for item in skew["inputs"]} == {"orders": 0.0, "amount": 0.0}
    status, _, problem = server.call("GET", "/api/v1/models/churn/skew?window=never")
    assert status == 400, problem
    server.stop()
    assert "orders" in project.run("skew", "churn").stdout


def test_a_changed_script_is_in_the_plan_and_a_lost_one_is_refused(project):
    line = "    - {name: mine, trainer: python, script: scripts/train.py}\n  choose_by:"
    project.edit("models/churn.yaml", "  choose_by:", line)
    refused = project.run("check", check=False)
    assert refused.returncode == 2
    assert "models/churn.yaml:" in refused.stderr + refused.stdout
    assert "is no file of the project's `scripts/`" in refused.stderr + refused.stdout
    (project.root / "scripts").mkdir()
    script = project.root / "scripts" / "train.py"
    script.write_text("print('one')\n")
    project.run("apply")
    assert project.json("plan")["changes"] == []
    script.write_text("print('two')\n")
    change = project.json("plan")["changes"][0]
    assert change["subject"] == "script/train.py" and " → " in change["details"][0]
    assert change["invalidates"] == ["model/churn", "endpoint/churn"]


def test_json_stays_json_when_lightgbm_has_something_to_say(project):
    """Fewer rows than a leaf needs is what LightGBM warns about on standard output."""
    project.edit("models/churn.yaml", "  window: 365d", "  window: 3d")
    project.run("apply")
    started = project.run("run", "churn", "--json", check=False)
    json.loads(started.stdout)
    assert "LightGBM" not in started.stdout
