"""What every whole-product test stands on: the binary, a project of its own, and a server when it needs one."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60


def binary() -> str:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return os.environ.get("LOOPWRIGHT_BIN", str(target / "debug" / "loopwright"))


class Project:
    """A project folder and the command line over it."""

    def __init__(self, root: Path):
        self.root = root

    def run(self, *arguments: str, check: bool = True, timeout: int = 300, **env: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "LOOPWRIGHT_ACTOR": "ana", **env}
        environment.pop("LOOPWRIGHT_TEST_POSTGRES", None)
        done = subprocess.run([binary(), *arguments], cwd=self.root, env=environment, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"loopwright {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments: str, **kwargs):
        return json.loads(self.run(*arguments, "--json", **kwargs).stdout)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text()
        assert old in text, f"{path} does not contain {old!r}"
        file.write_text(text.replace(old, new))


class Server:
    """A running `loopwright up`."""

    def __init__(self, project: Project, *arguments: str):
        self.project = project
        self.process = subprocess.Popen(
            [binary(), "up", "--listen", "127.0.0.1:0", *arguments],
            cwd=project.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        if "http://" not in line:
            raise AssertionError(f"the server did not start: {line}{self.process.stderr.read()}")
        self.url = line.strip().rsplit(" ", 1)[-1]

    def token(self) -> str:
        return (self.project.root / ".loopwright" / "token").read_text().strip()

    def call(self, method: str, path: str, body=None, headers=None, token=True):
        """Status, headers and body; JSON bodies are parsed."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {self.token() if token is True else token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, answer.headers, parsed(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, parsed(error)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=DEADLINE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=DEADLINE)


def parsed(answer):
    text = answer.read()
    return json.loads(text) if "json" in (answer.headers.get("Content-Type") or "") else text.decode()


def wait_until(condition, what: str, deadline: float = DEADLINE):
    """Polls a condition and returns its first true value; fails after the deadline."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {deadline} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def project(tmp_path) -> Project:
    """The starter project, freshly written."""
    root = tmp_path / "shop"
    Project(tmp_path).run("init", str(root))
    return Project(root)


@pytest.fixture(scope="session")
def trained_workspace(tmp_path_factory) -> Path:
    """A starter project that has been around the loop once. Tests copy it."""
    base = tmp_path_factory.mktemp("trained")
    Project(base).run("init", str(base / "shop"))
    project = Project(base / "shop")
    project.run("apply")
    project.run("run", "churn")
    project.run("approve", "churn@1", "--reason", "reviewed", LOOPWRIGHT_ACTOR="bea")
    return project.root


@pytest.fixture
def trained(trained_workspace, tmp_path) -> Project:
    """A copy of the trained project that a test may change."""
    root = tmp_path / "shop"
    shutil.copytree(trained_workspace, root)
    project = Project(root)
    # The copy's data files are the ones that runs read from here on.
    project.run("apply")
    return project


@pytest.fixture
def server(trained):
    """A server on a trained project."""
    running = Server(trained)
    yield running
    if running.process.poll() is None:
        running.kill()


# Last, since it stands on the above: the fixtures of tests/python/mlflow. A conftest.py there would hide this one.
from mlflow_service import client, experiment, name, run, service, uri  # noqa: E402, F401
