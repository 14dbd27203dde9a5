"""Artifacts of runs: logged in every way, listed, read back byte by byte."""

import io
import json
import os
from pathlib import Path

import mlflow
import numpy
import pandas
import pytest
import requests
from mlflow.entities import FileInfo


def paths(files: list[FileInfo]) -> list[str]:
    return [file.path for file in files]


def test_texts_objects_tables_images_and_figures(client, experiment):
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure()
    figure.subplots().plot([1, 2])
    with mlflow.start_run() as active:
        mlflow.log_text("hällo", "texts/a.txt")
        mlflow.log_dict({"a": [1, 2]}, "a.json")
        mlflow.log_dict({"a": [1, 2]}, "a.yaml")
        mlflow.log_figure(figure, "figure.png")
        mlflow.log_image(numpy.zeros((4, 4, 3), dtype=numpy.uint8), "image.png")
        mlflow.log_image(Image.new("RGB", (4, 4)), key="step-image", step=1)
        mlflow.log_table({"q": ["a", "b"], "n": [1, 2]}, "table.json")
        mlflow.log_table(pandas.DataFrame({"q": ["c"], "n": [3]}), "table.json")
        mlflow.log_stream(io.BytesIO(b"\0\1"), "stream.bin")
        mlflow.flush_artifact_async_logging()
    run_id = active.info.run_id
    root = paths(client.list_artifacts(run_id))
    assert root == sorted(root)
    assert set(root) == {"texts", "a.json", "a.yaml", "figure.png", "image.png", "images", "table.json", "stream.bin"}
    uri = client.get_run(run_id).info.artifact_uri
    assert mlflow.artifacts.load_text(f"{uri}/texts/a.txt") == "hällo"
    assert mlflow.artifacts.load_dict(f"{uri}/a.json") == {"a": [1, 2]}
    assert mlflow.artifacts.load_image(f"{uri}/image.png").size == (4, 4)
    table = mlflow.load_table("table.json", run_ids=[run_id])
    assert table["q"].tolist() == ["a", "b", "c"] and table["n"].tolist() == [1, 2, 3]
    assert open(client.download_artifacts(run_id, "stream.bin"), "rb").read() == b"\0\1"


def test_files_and_folders(client, run, tmp_path):
    (tmp_path / "in" / "deep" / "er").mkdir(parents=True)
    contents = {"one.txt": b"1", "deep/two.bin": os.urandom(100_000), "deep/er/empty": b"", "deep/er/a b+cü.txt": b"odd"}
    for path, content in contents.items():
        (tmp_path / "in" / path).write_bytes(content)
    client.log_artifacts(run, str(tmp_path / "in"))
    client.log_artifacts(run, str(tmp_path / "in"), "again")
    client.log_artifact(run, str(tmp_path / "in" / "one.txt"), "elsewhere/below")
    assert set(paths(client.list_artifacts(run))) == {"one.txt", "deep", "again", "elsewhere"}
    deep = {file.path: file for file in client.list_artifacts(run, "deep")}
    assert deep["deep/er"].is_dir and not deep["deep/two.bin"].is_dir and deep["deep/two.bin"].file_size == 100_000
    assert client.list_artifacts(run, "one.txt") == [] and client.list_artifacts(run, "nothing") == []
    local = mlflow.artifacts.download_artifacts(run_id=run, artifact_path="", dst_path=str(tmp_path / "out"))
    for path, content in contents.items():
        assert (tmp_path / "out" / path).read_bytes() == content, local
        assert (tmp_path / "out" / "again" / path).read_bytes() == content
    single = client.download_artifacts(run, "deep/er/a b+cü.txt", str(tmp_path))
    assert open(single, "rb").read() == b"odd"
    listed = mlflow.artifacts.list_artifacts(run_id=run, artifact_path="elsewhere")
    assert paths(listed) == ["elsewhere/below"]


def test_a_file_is_replaced(client, run):
    client.log_text(run, "one", "a.txt")
    client.log_text(run, "two and more", "a.txt")
    assert open(client.download_artifacts(run, "a.txt")).read() == "two and more"
    assert [(file.path, file.file_size) for file in client.list_artifacts(run)] == [("a.txt", 12)]


def test_what_is_missing(client, run):
    with pytest.raises(Exception, match="(?i)no such|not exist|not found|failed"):
        client.download_artifacts(run, "nothing.txt")


def test_a_large_file_goes_both_ways(client, run, tmp_path):
    content = os.urandom(1 << 20) * 48
    (tmp_path / "large").write_bytes(content)
    client.log_artifact(run, str(tmp_path / "large"))
    assert open(client.download_artifacts(run, "large", str(tmp_path / ".")), "rb").read() == content
    assert client.list_artifacts(run)[0].file_size == len(content)


def test_ranges_of_a_file(client, run, service, experiment):
    client.log_text(run, "0123456789", "a.txt")
    address = f"{service.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/a.txt"
    for asked, status, body in [("bytes=2-4", 206, b"234"), ("bytes=7-", 206, b"789"), ("bytes=-2", 206, b"89"), ("bytes=20-30", 416, None)]:
        answer = requests.get(address, headers={**service.headers, "Range": asked}, timeout=30)
        assert answer.status_code == status, asked
        if body is not None:
            assert answer.content == body


def test_an_artifact_is_deleted_by_its_address(client, run, experiment):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client.log_text(run, "x", "d/a.txt")
    get_artifact_repository(client.get_run(run).info.artifact_uri).delete_artifacts("d")
    assert client.list_artifacts(run) == []


def test_the_addresses_that_the_console_uses(client, run, service):
    client.log_dict(run, {"a": 1}, "a.json")
    answer = requests.get(f"{service.url}/get-artifact", params={"run_id": run, "path": "a.json"}, headers=service.headers, timeout=30)
    assert answer.status_code == 200 and json.loads(answer.content) == {"a": 1}
    upload = f"{service.url}/ajax-api/2.0/mlflow/upload-artifact"
    answer = requests.post(
        upload, params={"run_uuid": run, "path": "up.txt"}, data=b"up", headers={**service.headers, "Content-Type": "text/plain"}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    assert open(client.download_artifacts(run, "up.txt")).read() == "up"


def test_the_artifacts_of_a_logged_model(client, experiment, tmp_path):
    model = client.create_logged_model(experiment, name="m")
    (tmp_path / "w").write_bytes(b"weights")
    client.log_model_artifact(model.model_id, str(tmp_path / "w"))
    client.log_model_artifacts(model.model_id, str(tmp_path))
    assert "w" in paths(client.list_logged_model_artifacts(model.model_id))
    local = mlflow.artifacts.download_artifacts(f"models:/{model.model_id}")
    assert (Path(local) / "w").read_bytes() == b"weights"
