"""`loopwright import mlflow`: what MLflow's own server recorded is read back here by MLflow's own client, and all of it is the same."""

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import sqlite3
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import ROOT, Project, Server, binary, free_port, wait_until
from mlflow_service import ORACLE, pointed_at

PEERS = ROOT / ".tools" / "bench"
PYTHON = PEERS / "peers" / "bin" / "python"
pytestmark = [
    pytest.mark.skipif(bool(ORACLE), reason="it reads MLflow's server and fills ours"),
    pytest.mark.skipif(not PYTHON.exists(), reason="`make bench` installs MLflow's server"),
]
N_MANY = 60


class Stock:
    """MLflow's own server on a database and a folder of its own."""

    def __init__(self, folder: Path):
        self.database, self.artifacts = folder / "mlflow.db", folder / "artifacts"
        self.url = f"http://127.0.0.1:{free_port()}"
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        if (PEERS / "mlflow").is_dir():
            environment["PYTHONPATH"] = str(PEERS / "mlflow")
        arguments = ["--host", "127.0.0.1", "--port", self.url.rsplit(":", 1)[-1], "--workers", "1"]
        stores = ["--backend-store-uri", f"sqlite:///{self.database}", "--artifacts-destination", str(self.artifacts)]
        command = [str(PYTHON), "-m", "mlflow", "server", *arguments, *stores]
        self.log = (folder / "server.log").open("w")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log, start_new_session=True)

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"{self.url}/health", timeout=5).status == 200
            return False

        wait_until(answers, "the start of MLflow's server", 120)

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 15)
        self.process.wait(timeout=30)
        self.log.close()


def fill(client, folder: Path) -> dict[str, str]:
    """Something of everything, and the ids that tests name."""
    import mlflow
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag

    delays = client.create_experiment("delays", tags={"team": "air"})
    first = client.create_run(delays, run_name="first", start_time=1_700_000_000_000, tags={"mlflow.user": "bo"}).info.run_id
    values = [("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(2500)]
    odd = [("odd", float("nan"), 5, -3), ("odd", float("inf"), 6, 1), ("odd", float("-inf"), 7, 1), ("odd", 0.1 + 0.2, 8, 9)]
    points = [Metric(*point) for point in values + odd]
    for start in range(0, len(points), 1000):
        client.log_batch(first, metrics=points[start : start + 1000])
    params = [Param(f"p{number}", f"value {number} \u00e4") for number in range(150)]
    client.log_batch(first, params=params[:100], tags=[RunTag("note", "x" * 4000), RunTag("empty", "")])
    client.log_batch(first, params=params[100:])
    dataset = Dataset("flights", "d1", "local", '{"uri": "flights.csv"}', schema='{"a": 1}', profile='{"rows": 3}')
    client.log_inputs(first, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    files = folder / "files"
    (files / "deep" / "er").mkdir(parents=True)
    (files / "large.bin").write_bytes(os.urandom(3 << 20))
    (files / "deep" / "er" / "a b%20\u00e4.txt").write_text("text")
    (files / "deep" / "empty").write_bytes(b"")
    client.log_artifacts(first, str(files))

    model = client.create_logged_model(delays, name="booster", source_run_id=first, tags={"a": "b"}, params={"depth": "3"}, model_type="Classifier")
    saved = folder / "saved"
    saved.mkdir()
    (saved / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: x\nmodel_id: null\n")
    (saved / "model.pkl").write_bytes(b"\x80\x04N.")
    client.log_model_artifacts(model.model_id, str(saved))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_metric(first, "auc", 0.9, timestamp=9, step=4, model_id=model.model_id, dataset_name="flights", dataset_digest="d1")
    client.log_outputs(first, [LoggedModelOutput(model.model_id, 4)])
    client.set_terminated(first, "FINISHED", 1_700_000_100_000)

    client.log_artifacts(first, str(saved), "model")
    deleted = client.create_run(delays, run_name="deleted").info.run_id
    client.log_metric(deleted, "loss", 2.0)
    client.set_terminated(deleted, "FAILED")
    client.delete_run(deleted)
    abandoned = client.create_run(delays, run_name="abandoned").info.run_id
    client.delete_run(abandoned)
    running = client.create_run(delays, run_name="running").info.run_id
    client.log_param(running, "l2", "1")
    killed = client.create_run(delays, run_name="killed", tags={"mlflow.parentRunId": first}).info.run_id
    client.set_terminated(killed, "KILLED")

    old = client.create_experiment("old")
    client.set_terminated(client.create_run(old, run_name="forgotten").info.run_id)
    client.delete_experiment(old)
    many = client.create_experiment("many")
    for number in range(N_MANY):
        run = client.create_run(many, run_name=f"run {number}").info.run_id
        client.log_batch(run, [Metric("m", number, 1, 0), Metric("n", -number, 1, 0)], [Param("number", str(number))])
        client.set_terminated(run)

    client.create_registered_model("late arrivals", tags={"team": "air"}, description="Will it be late?")
    for number in range(1, 6):
        of_model = {"source": f"models:/{model.model_id}", "model_id": model.model_id}
        origin = of_model if number == 5 else {"source": f"runs:/{first}/model", "run_id": first}
        client.create_model_version("late arrivals", **origin, tags={"number": str(number)}, description=f"version {number}")
    client.delete_model_version("late arrivals", "2")
    client.set_registered_model_alias("late arrivals", "best", "3")
    client.set_registered_model_alias("late arrivals", "champion", "4")
    client.transition_model_version_stage("late arrivals", "1", "Archived")
    client.transition_model_version_stage("late arrivals", "4", "Production")
    client.create_registered_model("empty")
    mlflow.genai.register_prompt("greeting", "Hello {{name}}", commit_message="first")
    return {"first": first, "deleted": deleted, "running": running, "model": model.model_id}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    server = Stock(folder)
    try:
        with pointed_at(server.url, None):
            from mlflow import MlflowClient

            client = MlflowClient(server.url, server.url)
            server.ids = fill(client, folder)
            server.picture = picture(client)
        yield server
    finally:
        server.stop()


def digest_of(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.rglob("*")) if file.is_file()}


def files_of(client, run: str) -> dict[str, str]:
    """Each artifact of a run with the digest of its content."""
    import mlflow

    if not client.list_artifacts(run):
        return {}
    return digest_of(Path(mlflow.artifacts.download_artifacts(run_id=run)))


def picture_of_run(client, run) -> dict:
    info = run.info
    keys = sorted(run.data.metrics)
    points = {key: sorted((point.timestamp, point.step, repr(point.value)) for point in client.get_metric_history(info.run_id, key)) for key in keys}
    inputs = [(repr(input.dataset.to_dictionary()), sorted((tag.key, tag.value) for tag in input.tags)) for input in run.inputs.dataset_inputs]
    return {
        "info": (info.run_name, info.user_id, info.status, info.start_time, info.end_time, info.lifecycle_stage),
        "params": run.data.params,
        "tags": run.data.tags,
        "latest": {key: repr(value) for key, value in run.data.metrics.items()},
        "points": points,
        "inputs": inputs,
        "outputs": [(output.model_id, output.step) for output in (run.outputs.model_outputs if run.outputs else [])],
        "files": files_of(client, info.run_id),
    }


def picture_of_model(client, model, tmp: Path) -> dict:
    import mlflow

    metrics = [(m.key, repr(m.value), m.timestamp, m.step, m.run_id, m.dataset_name, m.dataset_digest) for m in model.metrics or []]
    return {
        "info": (model.name, model.model_type, model.source_run_id, str(model.status), model.creation_timestamp, model.last_updated_timestamp),
        "params": model.params,
        "tags": {key: value for key, value in model.tags.items() if key != "mlflow.modelVersions"},
        "metrics": sorted(metrics),
        "files": digest_of(Path(mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=str(tmp)))),
    }


def picture(client) -> dict:
    """All that a client sees, without what belongs to the server: the numbers of experiments and where artifacts lie."""
    import tempfile

    from mlflow.entities import ViewType

    shown: dict = {"experiments": {}, "runs": {}, "logged": {}, "models": {}, "versions": {}}
    for experiment in client.search_experiments(view_type=ViewType.ALL):
        times = () if experiment.name == "Default" else (experiment.creation_time, experiment.last_update_time)
        shown["experiments"][experiment.name] = (experiment.lifecycle_stage, times, experiment.tags)
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=1000):
            shown["runs"][run.info.run_id] = {"experiment": experiment.name, **picture_of_run(client, run)}
        for model in client.search_logged_models([experiment.experiment_id]):
            with tempfile.TemporaryDirectory() as tmp:
                shown["logged"][model.model_id] = picture_of_model(client, model, Path(tmp))
    prompts = client.search_registered_models("tags.`mlflow.prompt.is_prompt` = 'true'")
    for model in [*client.search_registered_models(), *prompts]:
        aliases = {alias: str(version) for alias, version in model.aliases.items()}
        shown["models"][model.name] = (model.description or "", model.creation_timestamp, model.last_updated_timestamp, dict(model.tags), aliases)
    for model in shown["models"]:
        is_prompt = any(prompt.name == model for prompt in prompts)
        found = client.search_model_versions(f"name = '{model}'" + (" AND tags.`mlflow.prompt.is_prompt` = 'true'" if is_prompt else ""))
        for version in found:
            times = (version.creation_timestamp, version.last_updated_timestamp)
            about = (version.source, version.run_id, version.current_stage, version.description, dict(version.tags))
            shown["versions"][f"{model}@{version.version}"] = (times, about)
    return shown


def check_same(ours: dict, theirs: dict) -> None:
    """Part by part, so that a difference is shown where it is."""
    for part, want in theirs.items():
        assert sorted(ours[part]) == sorted(want), part
        for name, thing in want.items():
            assert ours[part][name] == thing, f"{part} {name}"


def ours(project: Project) -> dict:
    server = Server(project)
    try:
        with pointed_at(server.url, server.token()):
            from mlflow import MlflowClient

            return picture(MlflowClient(server.url, server.url))
    finally:
        server.stop()


@pytest.fixture
def empty(tmp_path) -> Project:
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


def arguments(stock: Stock, way: str) -> list[str]:
    if way == "server":
        return ["import", "mlflow", "--from", stock.url]
    return ["import", "mlflow", "--from", f"sqlite:///{stock.database}", "--artifacts-from", str(stock.artifacts)]


@pytest.mark.parametrize("way", ["server", "database"])
def test_everything_is_the_same(stock, empty, way):
    counts = empty.json(*arguments(stock, way))
    assert counts["failures"] == []
    assert not any("alias" in why for why in counts["left_out"]), counts["left_out"]
    n_runs = len(stock.picture["runs"])
    assert counts["counts"]["runs"] == {"brought": n_runs, "present": 0, "failed": 0}
    assert counts["counts"]["experiments"] == {"brought": 3, "present": 1, "failed": 0}
    check_same(ours(empty), stock.picture)
    assert "the ledger verifies" in empty.run("audit", "verify").stdout

    # Once more: nothing is brought twice. Only the run that still runs is looked at again.
    again = empty.json(*arguments(stock, way))["counts"]
    assert (again["runs"]["brought"], again["runs"]["present"]) == (1, n_runs - 1)
    assert again["model_versions"] == {"brought": 0, "present": len(stock.picture["versions"]), "failed": 0}
    check_same(ours(empty), stock.picture)


def test_versions_made_later_go_on_behind_the_last(stock, empty):
    empty.run(*arguments(stock, "database"))
    server = Server(empty)
    try:
        with pointed_at(server.url, server.token()):
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException

            client = MlflowClient(server.url, server.url)
            version = client.create_model_version("late arrivals", f"runs:/{stock.ids['first']}/model", stock.ids["first"])
            assert version.version in (6, "6")
            with pytest.raises(MlflowException, match="not found"):
                client.get_model_version("late arrivals", "2")
    finally:
        server.stop()


@pytest.mark.parametrize("way", ["server", "database"])
def test_an_import_that_is_killed_goes_on(stock, empty, way):
    # From before its first row to, most likely, near its end: a fast machine imports all in less than half a second.
    n_kills, patience = 0, 0.05
    while True:
        process = subprocess.Popen([binary(), *arguments(stock, way)], cwd=empty.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, errors = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            n_kills, patience = n_kills + 1, patience * 1.25
            continue
        assert process.returncode == 0, errors.decode()
        break
    assert n_kills > 0, "it ended before it was killed"
    check_same(ours(empty), stock.picture)
    assert "the ledger verifies" in empty.run("audit", "verify").stdout


def test_a_dry_run_changes_nothing(stock, empty):
    counts = empty.json(*arguments(stock, "database"), "--dry-run")
    assert counts["counts"]["runs"]["brought"] == len(stock.picture["runs"])
    assert counts["counts"]["metric_points"]["brought"] > 2500
    listed = ours(empty)
    assert (list(listed["experiments"]), listed["runs"], listed["models"]) == (["Default"], {}, {})


def test_one_experiment_is_chosen_by_name(stock, empty):
    counts = empty.json(*arguments(stock, "database"), "--experiment", "many")["counts"]
    assert (counts["experiments"]["brought"], counts["runs"]["brought"], counts["registered_models"]["brought"]) == (1, N_MANY, 0)
    wrong = empty.run(*arguments(stock, "database"), "--experiment", "mani", check=False)
    assert wrong.returncode == 2 and "did you mean `many`?" in wrong.stderr


def test_one_bad_run_does_not_stop_the_rest(stock, empty, tmp_path):
    copy = tmp_path / "copy.db"
    shutil.copy(stock.database, copy)
    with sqlite3.connect(copy) as database:
        bad = database.execute("SELECT run_uuid FROM params WHERE key = 'number' AND value = '7'").fetchone()[0]
        database.execute("UPDATE metrics SET timestamp = -5 WHERE run_uuid = ?", [bad])
    place = ["--artifacts-from", str(stock.artifacts)]
    done = empty.run("import", "mlflow", "--from", f"sqlite:///{copy}", *place, "--json", check=False)
    counts = json.loads(done.stdout)
    assert done.returncode == 1 and "import-incomplete" in done.stderr
    assert [(failure["name"], failure["code"]) for failure in counts["failures"]] == [(bad, "INVALID_PARAMETER_VALUE")]
    assert counts["counts"]["runs"]["brought"] == len(stock.picture["runs"]) - 1

    # The reason is gone: the same command brings the rest.
    with sqlite3.connect(copy) as database:
        database.execute("UPDATE metrics SET timestamp = 1 WHERE run_uuid = ?", [bad])
    empty.run("import", "mlflow", "--from", f"sqlite:///{copy}", *place)
    check_same(ours(empty), stock.picture)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *_):
        pass


def test_what_is_no_source_is_told(empty, tmp_path):
    def check(address: str, code: int, name: str, *more: str) -> None:
        start = time.monotonic()
        done = empty.run("import", "mlflow", "--from", address, *more, check=False)
        assert (done.returncode, f"[{name}]" in done.stderr, "hint:" in done.stderr) == (code, True, True), done.stderr
        assert time.monotonic() - start < 20
        assert "s3cret" not in done.stderr

    check(f"http://ana:s3cret@127.0.0.1:{free_port()}", 3, "import-source-unreachable")
    check("postgresql://ana:s3cret@host/mlflow", 2, "bad-argument")
    check("./mlruns", 2, "bad-argument")
    check(f"sqlite:///{tmp_path}/missing.db", 2, "foreign-database")
    (tmp_path / "text.db").write_text("no database, but a text that is long enough\n" * 100)
    check(f"sqlite:///{tmp_path}/text.db", 2, "foreign-database")
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("CREATE TABLE thing (id INTEGER)")
    check(f"sqlite:///{tmp_path}/other.db", 2, "not-mlflow")
    with sqlite3.connect(tmp_path / "ancient.db") as database:
        database.execute("CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT)")
        database.execute("CREATE TABLE runs (run_uuid TEXT)")
    check(f"sqlite:///{tmp_path}/ancient.db", 2, "unknown-mlflow-schema")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        check(f"http://127.0.0.1:{server.server_port}", 2, "not-mlflow")
    finally:
        server.shutdown()


def test_artifacts_that_are_elsewhere_are_told_or_left_out(stock, empty):
    address = f"sqlite:///{stock.database}"
    done = empty.run("import", "mlflow", "--from", address, "--experiment", "delays", check=False)
    assert done.returncode == 1 and "artifacts-elsewhere" in done.stderr and "--artifacts-from" in done.stderr
    counts = empty.json("import", "mlflow", "--from", address, "--experiment", "delays", "--no-artifacts")
    assert (counts["failures"], counts["counts"]["artifact_files"]["brought"]) == ([], 0)
