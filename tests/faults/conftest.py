"""A search that can be killed or fail anywhere, thousands of times: see `driver`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from resnet_search.files import read_lines
from resnet_search.runs.checkup import Checkup
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, read_run

from .table import ROOT


class Drivers:
    """The program `driver`, which drives runs in processes of its own."""

    def __init__(self) -> None:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps(request) + "\n")
        self._program.stdin.flush()
        answer: dict[str, Any] = json.loads(self._program.stdout.readline())
        return answer

    def close(self) -> None:
        self._program.communicate()


@pytest.fixture(scope="session")
def drivers() -> Iterator[Drivers]:
    program = Drivers()
    yield program
    program.close()


@dataclass
class Search:
    """One run and what drives it. `drive` takes the keys of an `injection.Fault`, and `settings` of a resume."""

    drivers: Drivers
    runs_dir: Path
    name: str = "run"
    max_epochs: int = 3
    slots: int = 1
    forked: bool = False

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.runs_dir / self.name)

    def drive(self, **fault: Any) -> dict[str, Any]:
        """Start the run or go on with it: the exit status and what was said."""
        self.runs_dir.mkdir(exist_ok=True)
        settings = {"max_epochs": self.max_epochs, "slots": self.slots, "forked": self.forked}
        return self.drivers.ask({"runs_dir": str(self.runs_dir), "name": self.name, **settings, **fault})

    def copy(self, other: Search) -> Search:
        """Let another search, which has not begun, be where this one is."""
        shutil.copytree(self.runs_dir, other.runs_dir)
        return other

    def finish(self) -> RunView:
        """Go on to the end."""
        answer = self.drive()
        assert answer["status"] == 0, answer
        return self.view()

    def view(self) -> RunView:
        return read_run(self.folder, locked=False)

    def steps(self) -> list[str]:
        """What is written, in order, in a run that nothing happens to."""
        trace = self.runs_dir / "trace"
        assert self.drive(trace=str(trace))["status"] == 0
        return trace.read_text().splitlines()

    def trained(self) -> Counter[str]:
        """How often each epoch of each candidate was trained."""
        log = self.runs_dir / "trained"
        return Counter(log.read_text().splitlines()) if log.exists() else Counter()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where it can be: a process that is killed leaves there what it would on a disk, sooner."""
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _ROOM:
        yield tmp_path
        return
    with TemporaryDirectory(dir=_MEMORY) as folder:
        yield Path(folder)


_MEMORY = Path("/dev/shm")  # noqa: S108 - in it, a folder with a name of its own
_ROOM = 2**28


@pytest.fixture
def make_search(drivers: Drivers, memory: Path) -> Any:
    """Make a run of the small space in a folder of its own."""

    def make(place: str, **settings: Any) -> Search:
        return Search(drivers, memory / place, **settings)

    return make


@pytest.fixture(scope="session")
def whole(drivers: Drivers, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same run when nothing happens to it, with so many slots and epochs."""
    made: dict[Any, Search] = {}

    def get(**settings: Any) -> Search:
        key = tuple(sorted(settings.items()))
        if key not in made:
            made[key] = Search(drivers, tmp_path_factory.mktemp("whole"), **settings)
            made[key].finish()
        return made[key]

    return get


@pytest.fixture(scope="session")
def stopped(drivers: Drivers, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The small run, killed before one of its steps."""
    made: dict[int, Search] = {}

    def get(at: int) -> Search:
        if at not in made:
            made[at] = Search(drivers, tmp_path_factory.mktemp("stopped") / "runs")
            assert made[at].drive(at=at, moment="before")["status"] == -9
        return made[at]

    return get


@pytest.fixture
def interrupted(stopped: Any, make_search: Any) -> Any:
    """Make a copy of that run, in a folder of its own."""

    def make(place: str, *, at: int = 120) -> Search:
        copy: Search = stopped(at).copy(make_search(place))
        return copy

    return make


def table(view: RunView) -> list[tuple[object, ...]]:
    """What a user calls the result: every trial, without the ids and times that the order of events decides."""
    return sorted((t.iteration, t.bracket, t.rung, t.name, t.epochs, t.status, t.score) for t in view.trials.values())


def check_result(search: Search, whole: Search) -> None:
    """The run is finished with the trials of the whole one, each completed once, and its folder is in order."""
    view = search.view()
    assert view.state == "finished"
    assert table(view) == table(whole.view())
    completed = Counter(event["trial"] for event in events(search) if event["event"] == "completed")
    assert set(completed.values()) == {1}
    assert len(completed) == view.planned_trials
    assert unwell(search) == []
    for trial in view.trials.values():
        theirs = json.loads((search.folder.trial(trial.trial) / "trial.json").read_text())
        assert (theirs["status"], theirs["score"]) == (trial.status.upper(), trial.score)
    assert set(json.loads((search.folder.path / "oracle.json").read_text())["start_order"]) == set(view.trials)


def unwell(search: Search) -> list[str]:
    """What the doctor finds; the images of these runs are not there."""
    checks = Checkup(search.folder).checks()
    return [f"{check.name}: {check.text}" for check in checks if check.status != "ok" and check.name != "Data"]


def events(search: Search) -> list[dict[str, Any]]:
    return read_lines(search.folder.events)
