"""The demo's claims, asserted from the report and the API of the workspace that it leaves."""

import json
import shutil

import pytest
from conftest import ROOT, Project, Server


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """The flights project, replayed from April to the end of the year."""
    root = tmp_path_factory.mktemp("demo") / "flights"
    shutil.copytree(ROOT / "examples" / "flights", root, ignore=shutil.ignore_patterns(".loopwright", "report"))
    project = Project(root)
    project.run("replay", timeout=1500)
    report = json.loads((root / "report" / "report.json").read_text())
    return project, report


def happened(report, what):
    return [milestone for milestone in report["milestones"] if milestone["what"] == what]


def test_every_flight_of_the_period_was_predicted_and_labels_came_late(replayed):
    _, report = replayed
    assert report["n_predictions"] > 230_000
    assert [month["month"] for month in report["months"]] == [f"2013-{month:02}" for month in range(4, 13)]
    assert sum(month["n_labels"] for month in report["months"]) > 220_000


def test_retraining_beats_the_first_version_from_may_to_december(replayed):
    _, report = replayed
    months = [month for month in report["months"] if month["month"] >= "2013-05"]

    def mean(key):
        return sum(month[key] for month in months) / len(months)

    assert mean("auc") > mean("auc_frozen")
    assert mean("log_loss") < mean("log_loss_frozen")


def test_monitors_saw_the_change_and_gates_refused(replayed):
    _, report = replayed
    assert happened(report, "alert"), "no monitor fired"
    assert happened(report, "retraining"), "no retraining was triggered"
    assert happened(report, "refused"), "no gate refused"
    promoted = [milestone for milestone in happened(report, "deployed") if "promoted" in milestone["detail"]]
    assert promoted, "no challenger became champion"
    assert len(happened(report, "approved")) == 1, "the first version needs one person, retrained ones none"


def test_real_bad_rows_went_to_quarantine_with_reasons(replayed):
    project, _ = replayed
    tables = {table["name"]: table for table in project.json("tables")["items"]}
    assert tables["weather"]["n_quarantined"] == 3
    assert tables["planes"]["n_quarantined"] == 41
    flights = project.json("tables", "flights")["items"]
    # Four flights faster than an airliner flies, and one of 17 miles from Newark to LaGuardia.
    assert sum(version["n_quarantined"] for version in flights) == 5
    rules = [rule for version in flights for rule in version["rules"] if rule["rule"] == "departed_flights_arrive"]
    assert {rule["severity"] for rule in rules} == {"warn"}
    assert sum(rule["n_broken"] for rule in rules) == 1175, "a diverted flight is kept: it is true, and only lacks a label"
    assert all(rule["rule"] and rule["first"] for version in flights for rule in version["rules"])


def test_the_five_answers_and_the_ledger_stand_at_the_end(replayed):
    project, _ = replayed
    why = project.json("why", "late_arrival")
    assert why["running"][0]["role"] == "champion"
    assert why["running"][0]["version"] > 1
    assert {fact["subject"]["kind"] for fact in why["data"]} >= {"training_set", "table"}
    views = {fact["view"]["name"] for fact in why["features"]}
    assert views == {"aircraft", "carrier_delays", "destination_delays", "origin_delays", "origin_weather", "previous_leg", "route_delays"}
    assert why["since"]["version"] < why["running"][0]["version"]
    assert project.json("audit", "verify")["sound"] is True


def test_the_plot_and_the_report_are_there(replayed):
    project, _ = replayed
    svg = (project.root / "report" / "quality.svg").read_text()
    assert svg.startswith("<svg") and "first version kept" in svg
    text = (project.root / "report" / "report.md").read_text()
    assert "## Timeline" in text and "## Why" in text


def test_the_first_version_is_reproduced_after_nine_months(replayed):
    project, _ = replayed
    again = project.json("reproduce", "late_arrival@1", timeout=600)
    assert again["same"] is True, again["message"]


def test_a_replay_refuses_a_workspace_with_history(replayed):
    project, _ = replayed
    done = project.run("replay", check=False)
    assert done.returncode == 2
    assert "[replay-needs-empty-workspace]" in done.stderr


def test_the_server_goes_on_where_the_replay_ended(replayed):
    project, _ = replayed
    server = Server(project)
    try:
        status, _, page = server.call("GET", "/")
        assert status == 200 and "late_arrival" in page
        row = {"carrier": "AA", "origin": "JFK", "dest": "LAX", "tailnum": "N338AA", "distance": 2475, "scheduled_at": "2013-12-31T20:00:00Z"}
        status, _, answer = server.call("POST", "/api/v1/endpoints/late_arrival/predict", row)
        assert status == 200, answer
    finally:
        server.kill()
