"""Commands that only read are quick because of what they do not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
SCRIPT = """
import json, sys
from resnet_search.cli.main import execute
from resnet_search.cli.session import Session, Signals
status = execute(sys.argv[1:], Signals(Session()))
print(json.dumps([status, sorted({name.split(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in ("run", "train", "resume", "report", "export", "predict", "doctor")),
        ["spaces"],
        ["models"],
        ["models", "resnet-50"],
        ["models", "--block", "basic", "--depth", "20", "--width", "16", "--json"],
        ["plan", "--space", "cifar_small"],
        ["plan", "--space", "folder", "--data", "photos/"],
        ["list"],
        ["trials", "latest"],
        ["trials", "latest", "--json"],
        ["trials", "latest", "--csv"],
        ["show", "latest", "3"],
        ["show", "latest", "3", "--json"],
    ],
    ids=" ".join,
)
def test_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    make_run(tmp_path / "runs")
    make_folder(tmp_path / "photos", cat=20)
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    status, modules = json.loads(process.stderr)
    assert status == 0
    assert not HEAVY & set(modules)
    if "--json" in words or "--csv" in words or "--help" in words:
        assert "rich" not in modules
