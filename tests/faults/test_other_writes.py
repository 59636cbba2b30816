"""Writes outside a search, each killed and refused at every step: done again, they end as if nothing had happened."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_search.export.folder import MANIFEST
from resnet_search.files import append_line, leftovers
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import read_run
from resnet_search.training.arrays import whole
from tests.cli.conftest import make_run

from .table import ROOT, fault


def with_run(place: Path) -> RunFolder:
    """A finished run; nothing but the names of its checkpoints is looked at."""
    folder = make_run(place, "run")
    for trial in folder.trial_folders().values():
        for name in ("state.h5", "checkpoint.weights.h5"):
            (trial / name).write_bytes(bytes(10))
    return folder


def with_damaged_events(place: Path) -> None:
    append_line(with_run(place).events, {"event": "nonsense"})


def with_an_export(place: Path) -> None:
    (place / "export").mkdir(parents=True)
    (place / "export" / MANIFEST).write_text('{"trial": "0000"}')


def cleaned(place: Path) -> bool:
    return len(list(place.glob("run/trial_*/*.h5"))) == 2


def events_in_order(place: Path) -> bool:
    return read_run(RunFolder(place / "run")).state == "finished"


def exported(place: Path) -> bool:
    return json.loads((place / "export" / MANIFEST).read_text()) == {"trial": "0001"}


JOBS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], bool]]] = {
    "arrays": (lambda place: place.mkdir(), lambda place: whole(place / "abc")),
    "clean": (with_run, cleaned),
    "events": (with_damaged_events, events_in_order),
    "export": (with_an_export, exported),
}


def do(job: str, place: Path, **fault_: Any) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.faults.injection", job, str(place), json.dumps(fault_)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


@fault(
    "crash",
    "`kill -9`, or a full disk, while images are laid out, a run is cleaned or repaired, or an export is written",
    here="the file or folder is as it was or as it should be; the same command does the rest",
)
@pytest.mark.parametrize("job", JOBS)
def test_every_step(job: str, tmp_path: Path) -> None:
    make, done = JOBS[job]
    made = tmp_path / "made"
    make(made)
    trial = tmp_path / "trial"
    shutil.copytree(made, trial)
    assert do(job, trial, trace=str(tmp_path / "trace")).returncode == 0
    assert done(trial)
    steps = (tmp_path / "trace").read_text().splitlines()
    assert len(steps) > 3
    for at, step in enumerate(steps[:12], 1):
        for fault_ in ({"moment": "before"}, {"moment": "mid"}, {"moment": "after"}, {"error": errno.ENOSPC}):
            if fault_.get("moment") == "mid" and not step.startswith("_write"):
                continue
            place = tmp_path / f"{at}-{len(fault_)}-{fault_.get('moment', 'full')}"
            shutil.copytree(made, place)
            first = do(job, place, at=at, **fault_)
            if "error" in fault_:
                assert first.returncode == 1
                assert "No space left on device" in first.stderr
                assert not leftovers(place)
            else:
                assert first.returncode == -9
            again = do(job, place)
            assert again.returncode == 0, again.stderr
            assert done(place), (step, fault_)
