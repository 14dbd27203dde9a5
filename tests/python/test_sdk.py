"""The Python client against a real server: `import loopwright`."""

import subprocess
import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "python"))
import loopwright


@pytest.fixture
def lw(server):
    with loopwright.connect(workspace=server.project.root / ".loopwright", actor="ana") as client:
        yield client


ROW = {"customer_id": "c1", "plan": "free"}


def test_it_finds_the_server_of_a_workspace(server, monkeypatch):
    monkeypatch.chdir(server.project.root)
    with loopwright.connect() as client:
        assert client.url == server.url
        assert client.status()["champions"] == ["churn@1"]


def test_without_a_server_it_says_what_to_do(tmp_path):
    with pytest.raises(loopwright.ConnectionFailed, match="loopwright up"):
        loopwright.connect(workspace=tmp_path)
    with pytest.raises(loopwright.ConnectionFailed, match="loopwright up"):
        loopwright.connect("http://127.0.0.1:9").status()


def test_models_versions_and_why(lw):
    assert [model.name for model in lw.models()] == ["churn"]
    churn = lw.model("churn")
    assert [version.number for version in churn.versions()] == [1]
    version = churn.version(1)
    assert version.state == "champion" and 0.5 < version.metrics["auc"] <= 1
    why = churn.why()
    assert "churn@1" in str(why) and why.evidence
    with pytest.raises(loopwright.NotFound) as missing:
        lw.model("nope").why()
    assert missing.value.code == "nothing-to-explain" and missing.value.hint


def test_a_gate_of_people_holds_for_python_too(lw):
    with pytest.raises(loopwright.Forbidden, match="author"):
        lw.model("churn").version(1).approve("I like it")
    with pytest.raises(loopwright.ConflictError):
        lw.model("churn").version(1).approve("read it", report="sha256:" + "0" * 64, as_actor="bea")


def test_training_sets_come_whole_and_in_order(lw):
    training_set = lw.model("churn").version(1).training_set()
    table = training_set.to_arrow()
    assert table.num_rows == training_set.n_rows > 0
    assert table.column_names[:4] == ["example_id", "predicted_at", "label", "label_known_at"]
    predicted_at = table["predicted_at"].to_pylist()
    assert predicted_at == sorted(predicted_at)
    assert len(training_set.to_pandas()) == table.num_rows
    with pytest.raises(loopwright.NotFound, match="training-set-not-found"):
        lw.training_set("churn", 99)


def test_training_sets_are_what_the_delta_table_holds(lw, server):
    import deltalake

    training_set = lw.model("churn").version(1).training_set()
    folder = server.project.root / ".loopwright" / "tables" / training_set.facts["table"]
    table = deltalake.DeltaTable(folder, version=training_set.facts["table_version"]).to_pyarrow_table()
    key = [("predicted_at", "ascending"), ("example_id", "ascending")]
    theirs = table.select(training_set.to_arrow().column_names).sort_by(key).to_pylist()
    assert training_set.to_arrow().to_pylist() == theirs


def test_features_are_looked_up_by_entity(lw):
    views = lw._transport.get("/api/v1/feature-views")["items"]
    view = lw.features(views[0]["name"])
    (column,) = view.show()["entity"]
    entities = [{column: "c1"}, {column: "nobody"}]
    today = view.lookup(entities)
    assert today["state"].to_pylist() == ["found", "missing"]
    assert all(today[feature][1].as_py() is None for feature in views[0]["features"])
    table = view.lookup(entities, at=today["event_time"][0].as_py())
    assert table["state"].to_pylist() == ["found", "missing"]
    assert any(table[feature][0].as_py() is not None for feature in views[0]["features"])
    assert set(views[0]["features"]) <= set(table.column_names)
    with pytest.raises(loopwright.InvalidRequest, match="no part of the entity"):
        view.lookup([{column: "c1", "zzz": 1}])
    with pytest.raises(loopwright.InvalidRequest, match="is string"):
        view.lookup([{column: 7}])


def test_endpoints_score_one_row_and_many(lw):
    import pyarrow as pa

    churn = lw.endpoint("churn")
    one = churn.predict(ROW)
    assert 0 <= one["score"] <= 1 and one["version"] == 1
    rows = [{**ROW, "plan": plan} for plan in ("free", "pro")]
    many = churn.predict_many(rows)
    assert [answer["score"] for answer in many] == [answer["score"] for answer in churn.predict_many(pa.Table.from_pylist(rows))]
    with pytest.raises(loopwright.InvalidRequest) as refused:
        churn.predict({"customer_id": "c1"})
    assert refused.value.code == "invalid-predict-request"
    with pytest.raises(loopwright.InvalidRequest, match=r"`rows\[1\]\.amount` is not a finite number"):
        churn.predict_many([ROW, {**ROW, "amount": float("nan")}])


def test_runs_are_started_waited_for_and_read(lw):
    run = lw.start("churn")
    with pytest.raises(loopwright.Refused, match="not better than the champion"):
        run.wait(timeout_s=120)
    assert run.state == "refused" and lw.run(run.id).facts == run.facts
    assert any("train" in line["step"] for line in run.logs())


def test_tracked_runs_are_searched_with_or_not_and_a_choice_of_columns(lw):
    every = list(lw.search_runs())
    assert len(every) >= 2 and all(run["metrics"] for run in every)
    scored = list(lw.search_runs("metrics.auc > 0.5 OR NOT metrics.auc > -1", order_by=["metrics.auc DESC"], metrics=["auc"]))
    assert {run["id"] for run in scored} <= {run["id"] for run in every}
    values = [run["metrics"]["auc"] for run in scored if "auc" in run["metrics"]]
    assert values == sorted(values, reverse=True) and all(not run["params"] for run in scored)
    with pytest.raises(loopwright.InvalidRequest) as refused:
        list(lw.search_runs("metrics.auc >"))
    assert refused.value.code == "bad-filter"


def test_a_wrong_token_is_told_as_such(server):
    with loopwright.connect(server.url, token="lw_" + "0" * 64) as client, pytest.raises(loopwright.Unauthenticated):
        client.status()


def test_its_types_hold():
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "pyproject.toml", "loopwright"],
        cwd=ROOT / "python", capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
