"""Writes outside a search, each killed and refused at every step: done again, they end as if nothing had happened."""

from __future__ import annotations

import errno
import json
import shutil
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

from .table import fault
from .test_kills import kills, one_of_each


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


@fault(
    "crash",
    "`kill -9`, or a full disk, while images are laid out, a run is cleaned or repaired, or an export is written",
    here="the file or folder is as it was or as it should be; the same command does the rest",
)
@pytest.mark.parametrize(
    "choose", [one_of_each, pytest.param(lambda _, points: points, marks=pytest.mark.slow)], ids=["some", "all"]
)
@pytest.mark.parametrize("job", JOBS)
def test_every_step(job: str, choose: Callable[..., list[tuple[int, str]]], drivers: Any, memory: Path) -> None:
    make, done = JOBS[job]
    made = memory / "made"
    make(made)

    def do(place: Path, **fault_: Any) -> dict[str, Any]:
        answer: dict[str, Any] = drivers.ask({"job": job, "runs_dir": str(place), **fault_})
        return answer

    trial = memory / "trial"
    shutil.copytree(made, trial)
    assert do(trial, trace=str(memory / "trace"))["status"] == 0
    assert done(trial)
    steps = (memory / "trace").read_text().splitlines()
    assert len(steps) > 3
    for at, moment in choose(steps, kills(steps)):
        for error in (None, errno.ENOSPC)[: 1 if moment == "after" else 2]:
            place = memory / f"{at}-{moment}-{error}"
            shutil.copytree(made, place)
            answer = do(place, at=at, moment=moment, error=error)
            if error is None:
                assert answer["status"] == -9
            else:
                assert answer["status"] == 1
                assert "No space left on device" in answer["said"]
                assert not leftovers(place)
            assert do(place)["status"] == 0
            assert done(place), (steps[at - 1], moment, error)
