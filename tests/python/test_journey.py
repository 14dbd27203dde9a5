"""A newcomer's first hour: the starter project around the loop, exactly as README.md prints it."""

import json
import re
import shlex

from conftest import ROOT


def readme_commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.strip()]


def test_the_commands_of_the_readme_work_as_printed(tmp_path):
    from conftest import Project

    project = Project(tmp_path)
    ran = 0
    for command in readme_commands():
        if command[0] == "cd":
            project = Project(project.root / command[1])
            continue
        assert command[0] == "loopwright", command
        project.run(*command[1:])
        ran += 1
    assert ran >= 10


def test_the_five_questions_have_answers_with_evidence(trained):
    why = trained.json("why", "churn")
    text = trained.run("why", "churn").stdout
    for expected in ["churn@1", "checkups", "customer_orders", "bea"]:
        assert expected in text, f"{expected} is missing in:\n{text}"
    evidence = re.findall(r'"seqs?": *\[?(\d+)', json.dumps(why))
    assert evidence, "no answer names ledger entries"
    assert trained.json("audit", "verify")["sound"] is True


def test_a_version_is_reproduced_with_the_same_digest(trained):
    again = trained.json("reproduce", "churn@1")
    assert again["same"] is True
    assert again["model"]["was"] == again["model"]["is"]


def test_bad_rows_are_in_quarantine_with_a_reason(trained):
    table = trained.json("tables", "orders")
    assert table["items"][0]["n_quarantined"] == 1
    assert table["items"][0]["n_rows"] == 6503
    bad = trained.json("tables", "orders", "--quarantine")["items"]
    assert [(row["rule"], row["file"]) for row in bad] == [("amount.min", "data/orders.csv")]
    assert "below 0" in bad[0]["reason"] and bad[0]["raw"]["amount"].startswith("-")
    assert trained.json("tables", "orders", "--quarantine", "--rule", "amount.type")["items"] == []
    verdicts = trained.json("tables", "orders", "--verdicts")
    said = {verdict["rule"]: (verdict["outcome"], verdict["n_broken"]) for verdict in verdicts["accepted"]["items"]}
    assert said["amount.min"] == ("broken", 1) and said["amount.required"] == ("kept", 0) and verdicts["refused"] is None
    assert "amount.min" in trained.run("tables", "orders", "--verdicts").stdout


def test_a_batch_that_was_refused_says_why_though_there_is_no_table(project):
    rows = "".join(f"c{number},2024-01-0{number}T00:00:00Z,-1\n" for number in range(1, 9))
    (project.root / "data/orders.csv").write_text("customer_id,ordered_at,amount\n" + rows)
    project.run("apply")
    refused = project.run("ingest", "orders", check=False)
    assert refused.returncode != 0 and "contract-refused" in refused.stderr + refused.stdout
    said = project.json("tables", "orders", "--verdicts")
    assert said["accepted"] is None and said["refused"]["source"] == "orders"
    assert "amount.min" in project.run("tables", "orders", "--verdicts").stdout
    unknown = project.run("tables", "nothing", "--verdicts", check=False)
    assert unknown.returncode == 2 and "table-version-unknown" in unknown.stderr


def test_plan_shows_what_a_change_rebuilds(trained):
    trained.edit("features/customer_orders.yaml", "INTERVAL '30 days'", "INTERVAL '20 days'")
    plan = trained.json("plan")
    change = plan["changes"][0]
    assert change["subject"] == "feature_view/customer_orders"
    assert change["details"] == ["sql"]
    assert change["invalidates"] == ["model/churn", "endpoint/churn"]


def test_a_gate_refuses_and_nothing_goes_live(project):
    project.edit("models/churn.yaml", "at_least: 0.6", "at_least: 0.999")
    project.run("apply")
    refused = project.run("run", "churn", check=False)
    assert refused.returncode == 1, refused.stderr
    assert "good_enough" in refused.stdout + refused.stderr
    steps = {step["key"]: step["state"] for step in project.json("runs", "show", "churn")["steps"]}
    assert (steps["gate"], steps["approval"], steps["release"]) == ("refused", "skipped", "skipped")
    missing = project.run("predict", "churn", '{"customer_id": "c1"}', check=False)
    assert missing.returncode == 2
    assert "no endpoint" in missing.stderr


def test_owners_cannot_approve_their_own_version(project):
    project.run("apply")
    project.run("run", "churn")
    own = project.run("approve", "churn@1", "--reason", "mine", check=False)
    assert own.returncode in (1, 4), own.stderr
    assert "ana" in own.stderr
    project.run("approve", "churn@1", "--reason", "looks right", LOOPWRIGHT_ACTOR="bea")
    known = project.run("predict", "churn", '{"customer_id": "c1", "plan": "free"}')
    assert "customer_orders" not in known.stderr
    unknown = project.run("predict", "churn", '{"customer_id": "c999", "plan": "free"}')
    assert "customer_orders" in unknown.stderr and "missing" in unknown.stdout


def test_a_view_is_mapped_to_a_request_field_with_a_bare_on(project):
    project.edit("models/churn.yaml", "[customer_orders]", "[{view: customer_orders, on: {customer_id: customer_id}}]")
    assert "holds together" in project.run("check").stdout
