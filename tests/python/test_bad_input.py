"""Every mistake has a clear error with a hint, and leaves the state as it was."""

import re
import socket
import sqlite3
import subprocess

import pytest
from conftest import binary, free_port


def refuse(project, *arguments, code, text, exit_code=2):
    done = project.run(*arguments, check=False)
    assert done.returncode == exit_code, (done.returncode, done.stderr)
    assert f"[{code}]" in done.stderr, done.stderr
    assert text in done.stderr, done.stderr
    assert "hint:" in done.stderr, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("path", "old", "new", "code", "text"),
    [
        ("models/churn.yaml", "task: binary_classification", "task: [", "invalid-yaml", "models/churn.yaml:"),
        ("models/churn.yaml", "owner: ana", "ownr: ana", "invalid-yaml", "models/churn.yaml:3"),
        ("features/customer_orders.yaml", "sum(amount)", "sum(amout)", "unknown-column", "features/customer_orders.yaml:"),
        ("features/customer_orders.yaml", "FROM orders", "FROM order", "unknown-table", "features/customer_orders.yaml:"),
        ("models/churn.yaml", "inputs: [plan, orders, amount]", "inputs: [plan, order, amount]", "unknown-reference", "order"),
        ("models/churn.yaml", "at_least: 0.6", "at_least: lots", "invalid-yaml", "models/churn.yaml:"),
        ("models/churn.yaml", "  segments: [plan]", "  segments: []", "invalid-model", "production"),
        ("sources/orders.yaml", "type: float64", "type: money", "invalid-yaml", "sources/orders.yaml:"),
        ("pipelines/nightly.yaml", "needs: [fetch]", "needs: [fetsh]", "unknown-reference", "pipelines/nightly.yaml:"),
    ],
)
def test_check_names_file_line_and_hint(project, path, old, new, code, text):
    project.edit(path, old, new)
    refuse(project, "check", code=code, text=text)


def test_a_cycle_of_features_is_named(project):
    text = (project.root / "features/customer_orders.yaml").read_text()
    other = text.replace("customer_orders", "other").replace("FROM orders", "FROM customer_orders")
    (project.root / "features/other.yaml").write_text(other)
    project.edit("features/customer_orders.yaml", "FROM orders", "FROM other")
    error = refuse(project, "check", code="feature-cycle", text="other")
    assert "customer_orders" in error


def test_a_type_change_upstream_stops_the_run_before_training(trained):
    trained.edit("data/orders.csv", "customer_id,ordered_at,amount\n", "customer_id,ordered_at,amount\nc9,2024-06-30T00:00:00Z,a lot\n")
    before = trained.json("models", "churn")
    done = trained.run("run", "churn", check=False)
    assert done.returncode != 0
    assert "amount" in done.stderr + done.stdout or "orders.csv" in done.stderr + done.stdout
    assert trained.json("models", "churn") == before


def test_a_missing_file_is_named(project):
    (project.root / "data/orders.csv").unlink()
    project.run("apply")
    done = project.run("run", "churn", check=False)
    assert done.returncode == 1, done.stderr
    assert "data/orders*.csv" in done.stderr


def test_a_port_in_use_is_named(trained):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refuse(trained, "up", "--listen", f"127.0.0.1:{port}", code="listen-failed", text=str(port), exit_code=3)


def test_a_second_process_on_a_workspace_is_refused(server):
    port = free_port()
    done = server.project.run("up", "--listen", f"127.0.0.1:{port}", check=False)
    assert done.returncode == 2, done.stderr
    assert "[workspace-in-use]" in done.stderr
    assert str(server.process.pid) in done.stderr


def test_a_foreign_address_without_authentication_is_refused(trained):
    done = trained.run("up", "--listen", "0.0.0.0:0", "--no-auth", check=False)
    assert done.returncode in (2, 4), done.stderr
    assert "hint:" in done.stderr


def test_tampering_is_found(trained):
    database = sqlite3.connect(trained.root / ".loopwright/metadata.db")
    with database:
        database.execute("UPDATE project_version SET applied_by = 'mallory'")
    database.close()
    done = trained.run("audit", "verify", check=False)
    assert done.returncode == 1
    assert "project_version" in done.stdout


def test_an_unknown_error_code_has_a_near_one(project):
    done = project.run("explain", "invalid-yml", check=False)
    assert done.returncode == 2
    assert "invalid-yaml" in done.stderr
    assert project.run("explain", "invalid-yaml").stdout.startswith("# invalid-yaml")


def test_help_is_there_for_every_command():
    top = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  ([a-z]+) ", top.split("Commands:")[1].split("Options:")[0], re.M)
    assert len(commands) >= 20
    for command in commands:
        if command == "help":
            continue
        text = subprocess.run([binary(), command, "--help"], capture_output=True, text=True, check=True).stdout
        assert "Usage:" in text
