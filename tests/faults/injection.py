"""Faults at the steps in which `resnet_search.files` changes a disk; and small jobs to have them in."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search import files
from resnet_search.export.folder import MANIFEST, replacing_export
from resnet_search.runs.checkpoints import clean, plan_cleaning
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.salvage import rewrite_events, salvage
from resnet_search.runs.trials import read_run
from resnet_search.training.arrays import Arrays, write_arrays


class Fault:
    """Lets step `at` of this process fail or die: before it, after it, or in a write after half of it.

    A step is a call of one of the functions of `resnet_search.files` that change a disk. `trace` gets each step's name.
    `lasting`: every step from then on fails.
    """

    STEPS = ("_write", "_sync", "_move", "_remove", "_make_folder")

    def __init__(self, request: dict[str, Any]) -> None:
        self.at, self.moment = request.get("at", 0), request.get("moment", "before")
        self.error, self.lasting, self.trace = request.get("error"), request.get("lasting"), request.get("trace")
        self.count = 0

    def install(self) -> None:
        for name in self.STEPS:
            setattr(files, name, self._wrapped(name, getattr(files, name)))

    def _wrapped(self, name: str, step: Callable[..., None]) -> Callable[..., None]:
        def faulty(target: Any, *rest: Any) -> None:
            place = Path(str(rest[0] if name == "_move" else getattr(target, "name", target)))
            if self.trace is not None:
                note(Path(self.trace), f"{name} {_known_name(place)}")
            self.count += 1
            if self.count != self.at and not (self.lasting and self.count > self.at):
                step(target, *rest)
                return
            if self.moment == "mid":
                step(target, rest[0][: len(rest[0]) // 2])
            elif self.moment == "after":
                step(target, *rest)
            self._fail(place)

        return faulty

    def _fail(self, place: Path) -> None:
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.error, os.strerror(self.error or 0), str(place))


def _known_name(path: Path) -> str:
    """A file's name as a run has it: a partial file is the one that it becomes, and all trials are one."""
    parts = path.name.split("-", 2)
    return parts[2] if path.name.startswith(".partial-") else path.name


def note(log: Path, text: str) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, text.encode() + b"\n")
    os.close(handle)


def _arrays(place: Path) -> None:
    images, labels = np.zeros((4, 2, 2, 3), np.uint8), np.arange(4)
    write_arrays(place / "abc", Arrays(images, labels, images, labels, ("a", "b"), (0.0,) * 3, (1.0,) * 3))


def _clean(place: Path) -> None:
    view = read_run(RunFolder(place / "run"))
    clean(view, plan_cleaning(view, 1))


def _events(place: Path) -> None:
    folder = RunFolder(place / "run")
    found = salvage(folder, folder.read())
    if found.wrong:
        rewrite_events(folder, found)


def _export(place: Path) -> None:
    with replacing_export(place / "export") as partial:
        files.write_json(partial / MANIFEST, {"trial": "0001"})


JOBS = {"arrays": _arrays, "clean": _clean, "events": _events, "export": _export}


IMAGES = 40  # of the test set
