"""Commands that only read are quick because of what they do not import."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .conftest import make_folder, make_run

HEAVY = {
    "tensorflow",
    "keras",
    "keras_tuner",
    "tensorflow_datasets",
    "numpy",
    "scipy",
    "PIL",
    "h5py",
    "pydantic",
    "plotly",
    "optuna",
    "jax",
}
COMMANDS = [
    "--help",
    "--version",
    *(f"{name} --help" for name in ("run", "train", "resume", "report", "export", "predict", "doctor")),
    "spaces",
    "models",
    "models resnet-50",
    "models --block basic --depth 20 --width 16 --json",
    "plan --space cifar_small",
    "plan --space folder --data photos/",
    "list",
    "trials latest",
    "trials latest --json",
    "trials latest --csv",
    "show latest 3",
    "show latest 3 --json",
]
# Loads what every command shares, and runs each command in a fork of itself.
PROGRAM = """
import json, os, sys
from resnet_search.cli.main import execute
from resnet_search.cli.session import Session, Signals
for command in sys.argv[1:]:
    if os.fork() == 0:
        status = execute(command.split(), Signals(Session()))
        modules = sorted({name.split(".")[0] for name in sys.modules})
        sys.stderr.write(json.dumps([command, status, modules]) + "\\n")
        sys.stderr.flush()
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, set[str]]]:
    """The exit status of each command, and the packages that were loaded when it had ended."""
    folder = tmp_path_factory.mktemp("imports")
    make_run(folder / "runs")
    make_folder(folder / "photos", cat=20, dog=20)
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, *COMMANDS], cwd=folder, capture_output=True, text=True, check=True
    )
    lines = map(json.loads, process.stderr.splitlines())
    return {command: (status, set(modules)) for command, status, modules in lines}


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_heavy(command: str, outcomes: dict[str, tuple[int, set[str]]]) -> None:
    status, modules = outcomes[command]
    assert status == 0
    assert "resnet_search" in modules
    assert not HEAVY & modules
    if "--json" in command or "--csv" in command or "--help" in command:
        assert "rich" not in modules
