"""The ledger as an outsider reads it: exported, verified without this program, walked for lineage."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "governance.md"


@pytest.fixture
def verifier(tmp_path) -> Path:
    """The program that the guide prints for outsiders."""
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    path = tmp_path / "verify_ledger.py"
    path.write_text(found.group(1))
    return path


def verify(verifier: Path, export: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(verifier), str(export)], capture_output=True, text=True, timeout=60)


def test_an_outsider_verifies_the_export(trained, verifier, tmp_path):
    export = tmp_path / "ledger.jsonl"
    trained.run("audit", "export", "--output", str(export))
    head = trained.json("audit", "verify")["head"]
    done = verify(verifier, export)
    assert done.returncode == 0 and head in done.stdout, done.stderr
    lines = export.read_text().splitlines(keepends=True)
    assert len(lines) > 10 and [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))

    changed = [line.replace('"actor":"bea"', '"actor":"cy"') for line in lines]
    assert changed != lines
    swapped = [*lines[:3], lines[4], lines[3], *lines[5:]]
    first = {**json.loads(lines[0]), "previous": "sha256:" + "0" * 64}
    for forged in [changed, swapped, lines[:4] + lines[5:], [json.dumps(first) + "\n", *lines[1:]]]:
        export.write_text("".join(forged))
        assert verify(verifier, export).returncode != 0
    export.write_text("".join(lines[5:9]))
    assert verify(verifier, export).returncode == 0, "a stretch verifies by itself"


def test_a_stretch_is_exported_by_time(trained):
    entries = trained.json("audit", "log", "--limit", "1000")["items"]
    middle = entries[len(entries) // 2]["at"]
    before = trained.run("audit", "export", "--to", middle).stdout.splitlines()
    after = trained.run("audit", "export", "--from", middle).stdout.splitlines()
    assert [json.loads(line)["seq"] for line in before + after] == [entry["seq"] for entry in entries]


def test_the_log_is_filtered_and_paged(trained):
    assert {entry["actor"] for entry in trained.json("audit", "log", "--actor", "bea")["items"]} == {"bea"}
    actions = {entry["action"] for entry in trained.json("audit", "log", "--action", "approval.*")["items"]}
    assert actions == {"approval.grant"}
    first = trained.run("audit", "log", "--limit", "3")
    assert "--after 3" in first.stderr
    assert [entry["seq"] for entry in trained.json("audit", "log", "--after", "3", "--limit", "2")["items"]] == [4, 5]
    newest = trained.json("audit", "log", "--newest", "--limit", "1")["items"][0]["seq"]
    assert newest == len(trained.run("audit", "export").stdout.splitlines())
    assert trained.json("audit", "log", "--to", "2020-01-01")["items"] == []
    assert trained.run("audit", "log", "--limit", "0", check=False).returncode == 2
    assert trained.run("audit", "log", "--from", "yesterday", check=False).returncode == 2


def test_lineage_leads_from_source_to_deployment(trained):
    up = trained.json("lineage", "deployment/churn@1")
    found = {node["text"] for node in up["nodes"]}
    assert {"model_version/churn@1", "training_set/churn@1", "table/orders@0", "source/orders@1"} <= found
    assert up["complete"]
    down = {node["text"] for node in trained.json("lineage", "source/orders@1", "--downstream")["nodes"]}
    assert {"table/orders@0", "training_set/churn@1", "model_version/churn@1", "deployment/churn@1"} <= down
    drawn = trained.run("lineage", "model_version/churn@1").stdout
    assert "└─ source/orders@1" in drawn or "├─ source/orders@1" in drawn
    done = trained.run("lineage", "model_version/churnn@1", check=False)
    assert done.returncode == 2 and "did you mean `model_version/churn`?" in done.stderr


def test_doctor_fails_when_something_is_wrong(trained):
    assert trained.json("doctor")["ok"]
    trained.edit("models/churn.yaml", "model: churn", "model_: churn")
    done = trained.run("doctor", "--json", check=False)
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1 and checks["project"]["state"] == "failed" and checks["platform"]["state"] == "ok"


def test_explain_answers_in_json(project):
    assert project.json("explain", "role-missing")["page"].startswith("# role-missing")
    assert "role-missing" in project.json("explain")["items"]
