"""What a user installs: the built wheel, in an empty environment, used from an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


def run(*command: str | Path, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, folder=folder)
    [path] = folder.glob("*.whl")
    return path


def test_it_carries_the_search_spaces_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for path in (ROOT / "search_spaces").glob("*.toml"):
        assert f"resnet_search/search_spaces/{path.name}" in names
    assert "resnet_search/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "runs"))]


def test_the_whole_job_from_an_empty_folder(wheel, tmp_path):
    binaries = tmp_path / "environment" / ("Scripts" if os.name == "nt" else "bin")
    if uv := shutil.which("uv"):  # Its cache has the packages in CI.
        run(uv, "venv", tmp_path / "environment", folder=tmp_path)
        run(uv, "pip", "install", "--python", binaries / "python", wheel, folder=tmp_path)
    else:
        run(sys.executable, "-m", "venv", tmp_path / "environment", folder=tmp_path)
        run(binaries / "python", "-m", "pip", "install", "-q", wheel, folder=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    command = binaries / "resnet-search"
    assert "quickstart" in run(command, "spaces", folder=empty)
    printed = run(
        command, "run", "--space", "quickstart", "--max-epochs", "3", "--train-examples", "500", "--name", "first",
        folder=empty,
    )  # fmt: skip
    assert "export" in printed
    assert "Traceback" not in printed
    export = empty / "runs" / "first" / "export"
    assert (export / "saved_model" / "saved_model.pb").is_file()
    assert "# " in (export / "report.md").read_text()
    [found] = json.loads(run(command, "list", "--json", folder=empty))["runs"]
    assert found["state"] == "finished"
    trials = json.loads(run(command, "trials", "first", "--json", folder=empty))["trials"]
    assert {trial["status"] for trial in trials} == {"completed"}
    assert sorted(path.name for path in empty.iterdir()) == ["runs"]
