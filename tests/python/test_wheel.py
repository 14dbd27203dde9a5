"""The wheel: `pip install` gives the binary and the client."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built as the tests' binary is, so that nothing is compiled twice. Bundling system libraries would change that binary in its place."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))
    done = subprocess.run(
        ["maturin", "build", "--profile", "dev", "--locked", "--auditwheel", "skip", "--out", folder],
        cwd=ROOT / "python", env=environment, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(pip, check=True)
    return target


def test_it_brings_the_binary(installed):
    command = [installed / "bin" / "loopwright", "--version"]
    said = subprocess.run(command, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)}, capture_output=True, text=True)
    assert said.returncode == 0 and said.stdout.startswith("loopwright "), said.stderr


def test_it_brings_the_client_with_its_types(installed):
    code = "import loopwright, importlib.resources as r; print(loopwright.connect.__name__, r.files(loopwright).joinpath('py.typed').is_file())"
    said = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(installed)}, capture_output=True, text=True)
    assert said.stdout.split() == ["connect", "True"], said.stderr


def test_it_carries_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    places = ("loopwright/", "loopwright.libs/", "loopwright.scripts/", "loopwright-")
    assert all(name.startswith(places) for name in names), names
