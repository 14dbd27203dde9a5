"""Pipelines of the project's own, through the command line: run, look into, stop, resume, schedule, retire."""

import json
import re
import time

from conftest import Server, wait_until

WEEKLY = """
pipeline: weekly
description: Two commands, one after the other
params: {region: eu, day: null}
steps:
  - {name: first, shell: 'echo "to $LOOPWRIGHT_PARAM_REGION on $LOOPWRIGHT_PARAM_DAY"'}
  - name: second
    shell: 'test -e ready || { echo "not ready"; exit 3; }'
    needs: [first]
    retries: {attempts: 2, backoff: 10ms, max_backoff: 20ms}
"""


def write(project, name, text):
    (project.root / f"pipelines/{name}.yaml").write_text(text)


def states(view):
    return {step["key"]: step["state"] for step in view["steps"]}


def test_a_pipeline_is_run_looked_into_and_resumed(project):
    write(project, "weekly", WEEKLY)
    project.run("apply")
    listed = {item["pipeline"]: item for item in project.json("pipelines")["items"]}
    assert set(listed) == {"churn", "nightly", "weekly"}
    assert listed["weekly"]["state"] is None and listed["weekly"]["kind"] == "pipeline"
    assert listed["nightly"]["next_at"].endswith("T03:15:00Z") and listed["churn"]["kind"] == "model"

    failed = project.run("run", "weekly", "--param", "day=2024-06-01", check=False)
    assert failed.returncode == 1 and "command-failed" in failed.stderr, failed.stderr
    run = project.json("runs", "show", "weekly")
    assert run["state"] == "failed" and states(run) == {"first": "succeeded", "second": "failed"}
    assert run["params"]["params"] == {"day": "2024-06-01"}
    second = run["steps"][1]
    assert second["attempt"] == 2 and second["error"]["code"] == "command-failed"
    shown = project.run("runs", "show", run["id"][:8])
    assert "command-failed" in shown.stdout and f"loopwright resume {run['id']}" in shown.stderr
    assert re.search(r"first +to eu on 2024-06-01", project.run("logs", run["id"][:6]).stdout)
    assert project.run("logs", "weekly", "second").stdout.count("not ready") == 2
    assert [json.loads(line)["step"] for line in project.run("logs", "weekly", "--json").stdout.splitlines()][0] == "first"
    unknown = project.run("logs", "weekly", "third", check=False)
    assert unknown.returncode == 2 and "first, second" in unknown.stderr

    (project.root / "ready").touch()
    project.run("resume", "weekly")
    resumed = project.json("runs", "show", run["id"])
    assert resumed["state"] == "succeeded"
    assert resumed["steps"][0]["finished_at"] == run["steps"][0]["finished_at"], "a finished step does not run again"
    assert project.json("runs", "weekly", "--state", "failed")["items"] == []
    assert len(project.json("runs", "weekly", "--state", "succeeded")["items"]) == 1
    again = project.run("cancel", "weekly", check=False)
    assert again.returncode == 2 and "succeeded already" in again.stderr


def test_parameters_are_declared(project):
    write(project, "weekly", WEEKLY)
    project.run("apply")
    for arguments, text in [
        ([], "--param day="),
        (["--param", "day=1", "--param", "regoin=us"], "did you mean `region`?"),
        (["--param", "day"], "name=text"),
    ]:
        refused = project.run("run", "weekly", *arguments, check=False)
        assert refused.returncode == 2 and text in refused.stderr, refused.stderr
    refused = project.run("run", "churn", "--param", "day=1", check=False)
    assert refused.returncode == 2 and "takes no parameter" in refused.stderr
    assert "did you mean `weekly`?" in project.run("run", "weekyl", check=False).stderr
    assert project.json("runs")["items"] == [], "nothing was started"


def test_a_detached_run_waits_for_a_server(project):
    write(project, "quick", "pipeline: quick\ndescription: One command\nsteps: [{name: only, shell: 'echo done'}]\n")
    project.run("apply")
    detached = project.run("run", "quick", "--detach")
    run = detached.stdout.strip()
    assert "queued" in detached.stderr and "loopwright up" in detached.stderr
    # Commands that only look do not begin what they would not finish.
    for command in (["status"], ["models"], ["runs"], ["pipelines"], ["logs", "quick", "--follow"]):
        project.run(*command)
        assert project.json("runs", "show", run)["state"] == "queued"
    server = Server(project)
    try:
        wait_until(lambda: project.json("runs", "show", run)["state"] == "succeeded", "the queued run")
        followed = project.run("run", "quick", "--detach")
        assert "queued" not in followed.stderr and "--follow" in followed.stderr
        assert "done" in project.run("logs", followed.stdout.strip(), "--follow").stdout
    finally:
        server.stop()


def test_a_running_step_is_cancelled_with_all_that_it_started(project):
    write(project, "slow", "pipeline: slow\ndescription: Sleeps\nsteps: [{name: only, shell: 'echo begun; sleep 4321 & wait'}]\n")
    project.run("apply")
    server = Server(project)
    try:
        run = project.run("run", "slow", "--detach").stdout.strip()
        wait_until(lambda: "begun" in project.run("logs", run).stdout, "the step's first line")
        assert project.json("runs", "show", run)["state"] == "running"
        project.run("cancel", run[:8])
        view = wait_until(lambda: (v := project.json("runs", "show", run))["state"] == "cancelled" and v, "the end of the run")
        assert view["steps"][0]["error"]["code"] == "step-cancelled"
        wait_until(lambda: not processes("sleep 4321"), "the end of the command's processes")
    finally:
        server.stop()


def processes(command):
    import subprocess

    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()
    return [line for line in listed if line.strip() == command]


def test_a_killed_server_takes_its_steps_back_at_once(project):
    write(project, "slow", "pipeline: slow\ndescription: Slow once\nsteps: [{name: only, shell: 'test -e seen || { touch seen; sleep 60; }'}]\n")
    project.run("apply")
    server = Server(project)
    run = project.run("run", "slow", "--detach").stdout.strip()
    wait_until(lambda: (project.root / "seen").exists(), "the step's beginning")
    server.kill()
    begun = time.monotonic()
    server = Server(project)
    try:
        wait_until(lambda: project.json("runs", "show", run)["state"] == "succeeded", "the run's end")
        assert time.monotonic() - begun < 20, "its lease of 30 seconds is not waited for"
        assert project.json("runs", "show", run)["steps"][0]["attempt"] == 2, "a lost attempt is one of its own, and costs no retry"
    finally:
        server.stop()


def test_a_cached_command_runs_again_when_something_changed(project):
    write(
        project,
        "cached",
        "pipeline: cached\ndescription: Counts\nparams: {day: '1'}\nsteps:\n"
        "  - {name: fetch, ingest: orders}\n"
        "  - {name: count, shell: 'echo again >> counted', needs: [fetch], cache: true}\n",
    )
    project.run("apply")

    def n_counted(*arguments):
        project.run("run", "cached", *arguments)
        return len((project.root / "counted").read_text().splitlines())

    assert n_counted() == 1
    assert n_counted() == 1, "nothing landed since"
    steps = project.json("runs", "show", "cached")["steps"]
    assert steps[1]["cached_from"] is not None and steps[0]["cached_from"] is None
    assert "cached" in project.run("runs", "show", "cached").stdout
    assert n_counted("--param", "day=2") == 2
    project.edit("pipelines/cached.yaml", "Counts", "Counts rows")
    project.run("apply")
    assert n_counted() == 3


def test_faults_are_found_with_their_place(project):
    write(
        project,
        "weekly",
        "pipeline: weekly\ndescription: Wrong\nparams: {day: null}\n"
        'schedule: {cron: "0 3 * * *", missed: run_all}\n'
        "steps:\n"
        "  - {name: fetch, ingest: orders, cache: true}\n"
        "  - name: other\n"
        "    shell: 'true'\n"
        "    needs: [fetsh]\n"
        "    timeout: 0s\n"
        "    retries: {attempts: 0, backoff: 10m, max_backoff: 1m}\n",
    )
    found = project.run("check", check=False)
    assert found.returncode == 2
    for place, text in [
        ("weekly.yaml:4", "overlap"),
        ("weekly.yaml:3", "nobody to give it `day`"),
        ("weekly.yaml:6", "cannot be cached"),
        ("weekly.yaml:9", "fetsh"),
        ("weekly.yaml:10", "no time at all"),
        ("weekly.yaml:11", "zero times"),
        ("weekly.yaml:11", "10m at first"),
    ]:
        assert any(place in line and text in line for line in found.stderr.splitlines()), (place, text, found.stderr)
    write(project, "weekly", WEEKLY.replace("attempts: 2", "atempts: 2"))
    found = project.run("check", check=False)
    assert "weekly.yaml:10" in found.stderr and "atempts" in found.stderr, found.stderr
    properties = json.dumps(json.loads(project.run("schema", "pipeline").stdout))
    for word in ("attempts", "max_backoff", "timeout", "cache", "run_once", "overlap", "params"):
        assert word in properties, word


def test_a_deleted_pipeline_is_retired(project):
    write(project, "tick", 'pipeline: tick\ndescription: Each second\nschedule: {cron: "* * * * * *"}\nsteps: [{name: only, shell: "true"}]\n')
    project.run("apply")
    server = Server(project)
    try:
        wait_until(lambda: project.json("runs", "tick")["items"], "the first scheduled run")
        (project.root / "pipelines/tick.yaml").unlink()
        plan = project.run("plan").stdout
        assert "- pipeline/tick" in plan and "its schedule stops" in plan, plan
        project.run("apply")
        assert "tick" not in {item["pipeline"] for item in project.json("pipelines")["items"]}
        wait_until(lambda: all(run["state"] == "succeeded" for run in project.json("runs", "tick")["items"]), "open runs ending")
        n_runs = len(project.json("runs", "tick", "--limit", "1000")["items"])
        assert n_runs >= 1, "the history stays"
        # A schedule that went on would fire twice meanwhile.
        time.sleep(2.5)
        assert len(project.json("runs", "tick", "--limit", "1000")["items"]) == n_runs
        gone = project.run("run", "tick", check=False)
        assert gone.returncode == 2 and "no model or pipeline `tick`" in gone.stderr, gone.stderr
        assert "nothing to change" in project.run("plan").stdout
    finally:
        server.stop()


def test_a_model_that_serves_is_retired_by_name_only(trained):
    row = '{"customer_id": "c1", "plan": "free"}'
    trained.run("predict", "churn", row)
    model = (trained.root / "models/churn.yaml").read_text()
    (trained.root / "models/churn.yaml").unlink()
    plan = trained.run("plan").stdout
    assert "- model/churn" in plan and "its endpoint serves churn@1" in plan, plan
    refused = trained.run("apply", check=False)
    assert refused.returncode == 2 and "model-serves" in refused.stderr and "loopwright retire churn" in refused.stderr
    trained.run("predict", "churn", row)

    trained.run("retire", "churn", "--reason", "replaced by hand")
    assert "unknown-endpoint" in trained.run("predict", "churn", row, check=False).stderr
    assert trained.run("retire", "churn", "--reason", "twice", check=False).returncode == 2
    assert "no endpoint serves this model" in trained.run("why", "churn").stdout
    trained.run("apply")
    assert "churn" not in {item["pipeline"] for item in trained.json("pipelines")["items"]}
    assert trained.run("audit", "verify").returncode == 0

    (trained.root / "models/churn.yaml").write_text(model)
    trained.run("apply")
    trained.run("run", "churn")
    assert trained.json("runs", "show", "churn")["state"] == "waiting", "a version after a retirement needs the first approval"
    trained.run("approve", "churn@2", "--reason", "reviewed again", LOOPWRIGHT_ACTOR="bea")
    trained.run("predict", "churn", row)
    assert trained.run("audit", "verify").returncode == 0


def test_a_removed_model_takes_its_open_runs_along(project):
    project.run("apply")
    project.run("run", "churn")
    assert project.json("runs", "show", "churn")["state"] == "waiting"
    (project.root / "models/churn.yaml").unlink()
    plan = project.run("plan").stdout
    assert "open runs are cancelled: 1" in plan, plan
    project.run("apply")
    assert project.json("runs", "show", "churn")["state"] == "cancelled"


def test_a_workspace_remembers_where_its_state_is(project, tmp_path):
    elsewhere = f"file://{tmp_path}/elsewhere"
    project.run("apply", "--artifacts", elsewhere)
    project.run("status")
    assert (tmp_path / "elsewhere").exists() and not (project.root / ".loopwright/artifacts").exists()
    assert project.json("plan")["changes"] == [], "the plain command sees what was applied"
    refused = project.run("status", "--metadata", "postgres://ana:hunter2@db/loop", check=False)
    assert refused.returncode == 2 and "workspace-elsewhere" in refused.stderr and "hunter2" not in refused.stderr
    refused = project.run("status", check=False, LOOPWRIGHT_ARTIFACTS="s3://other/place")
    assert "workspace-elsewhere" in refused.stderr
