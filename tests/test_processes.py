"""No process of ours imports what happens to be in the current directory."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_search import processes
from resnet_search.trackers import beside
from resnet_search.workers.local import CHILD
from tests.faults.table import fault

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "resnet_search"
# Modules of the standard library and others that a process of ours imports, none of which Python itself starts with.
SHADOWS = ("queue", "typing", "json", "socket", "subprocess", "dataclasses", "click", "keras", "numpy", "hashlib")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with files of such names, each of which leaves a mark if it is run."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / name)!r}, 'w').close()\nraise SystemExit({name!r})\n")
    return folder


def marks(notes: Path) -> list[str]:
    return sorted(path.name for path in notes.parent.iterdir() if path != notes)


@fault(
    "hostile",
    "A file in the current directory has the name of a module, such as `queue.py`",
    here="it is not run: no process has the current directory on its path, nor an empty entry of PYTHONPATH",
)
@pytest.mark.parametrize("path", [str(ROOT), f":{ROOT}", f"{ROOT}:", f"{ROOT}::"])
def test_the_program_runs_no_module_of_the_current_directory(path: str, notes: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "resnet_search", "list"],
        cwd=notes, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert marks(notes) == [], done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("command", [CHILD, [*processes.PYTHON, "-m", "resnet_search.trackers.keep_up"]])
def test_a_worker_and_a_tracker_run_none_either(
    command: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f":{ROOT}")
    # A worker ends without a word when its input does, maybe before it reads its settings.
    reading, writing = os.pipe()
    done = subprocess.run(
        [*command, "[]"], cwd=notes, env=processes.safe_environment(), stdin=reading, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    os.close(reading)
    os.close(writing)
    assert marks(notes) == []
    assert done.returncode == 1
    assert "resnet_search" in done.stderr


def test_python_is_started_in_one_way() -> None:
    """Each call that starts a process takes the program and its environment from `processes`, or starts no Python."""
    starts = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        calls = [
            node
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"Popen", "run"}
            and ast.unparse(node.func).startswith("subprocess.")
        ]  # fmt: skip
        if calls:
            name = path.relative_to(PACKAGE).as_posix()
            starts[name] = [any(keyword.arg == "env" for keyword in call.keywords) for call in calls]
            assert "sys.executable" not in text, name
    assert starts.pop("workers/nvidia.py") == [False], "nvidia-smi is no Python"
    assert set(starts) == {
        "export/children.py", "export/evaluate.py", "trackers/beside.py", "workers/devices.py", "workers/local.py",
        "workers/probe.py",
    }  # fmt: skip
    assert all(all(having) for having in starts.values())
    assert beside.PYTHON is processes.PYTHON


def test_an_environment_that_names_the_current_directory_without_wanting_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f":/lib:{ROOT}")
    environment = processes.safe_environment(MORE="1")
    assert environment["PYTHONPATH"] == f"/lib:{ROOT}"
    assert (environment["PYTHONSAFEPATH"], environment["MORE"]) == ("1", "1")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "/lib", str(ROOT)])
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    processes.protect()
    assert sys.path == ["/lib", str(ROOT)]
    assert os.environ["PYTHONSAFEPATH"] == "1"


def test_a_folder_that_is_named_stays_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path), "/lib"])
    monkeypatch.setenv("PYTHONSAFEPATH", "0")
    processes.protect()
    assert sys.path == [str(tmp_path), "/lib"]
