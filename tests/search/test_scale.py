"""What a trial costs the driver does not grow with the number of trials: counted, not timed.

Counted are the instructions that Python executes, in this package and in Keras Tuner, and the bytes that are written
through `files`, for the same number of trials early in a search and late in it, on 64 workers that answer at once.
What is written for Keras Tuner now and then counts by itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import keras_tuner
import pytest

import resnet_search
from resnet_search import files
from resnet_search.cli.plain import PlainLines
from resnet_search.cli.progress import Progress
from resnet_search.runs.events import append_event
from resnet_search.runs.trials import read_run
from resnet_search.search.budget import Budget
from resnet_search.search.loop import SearchLoop
from resnet_search.search.oracle import HyperbandOracle
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import brackets_from

from .conftest import KnownWorkers, new_search

# 23 trials an iteration, of ever new candidates.
SPACE = """
[axes]
n = [1, 2, 3]
width = [4, 6, 8]
block = ["basic", "resnext"]
cardinality = [2, 4]
[hyperband]
max_epochs = 9
iterations = 80
[recipe]
learning_rate = { min = 0.1, max = 0.2 }
[data]
source = "shapes"
"""
SLOTS = 64
WINDOW = 46  # trials of two iterations; those of the early one begin when every worker has had one
ENDS = [pytest.param((138, 552), id="552"), pytest.param((345, 1_495), id="1495", marks=pytest.mark.slow)]
PLACES = tuple(str(Path(package.__file__).parent) for package in (resnet_search, keras_tuner))


class Counter:
    """Counts instructions while it is on."""

    def __init__(self) -> None:
        self.instructions = 0

    def _on_call(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(PLACES):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._on_opcode

    def _on_opcode(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        self.instructions += event == "opcode"
        return self._on_opcode

    @contextmanager
    def counting(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._on_call)
        try:
            yield
        finally:
            sys.settrace(before)


class Untraced(KnownWorkers):
    """Workers whose own work is not the driver's."""

    def wait(self, seconds: float) -> Any:
        with without_tracing():
            return super().wait(seconds)


class Measured(SearchLoop):
    """A search that counts what the trials of a window before each of `ends` cost."""

    ends: tuple[int, int]

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.instructions = dict.fromkeys(self.ends, 0)
        self.written = dict.fromkeys(self.ends, 0)
        self.bytes = 0
        self.projected: list[tuple[int, int]] = []  # How many trials, in how many bytes.

    def _hear(self) -> None:
        self._measured(super()._hear)

    def _fill(self) -> None:
        self._measured(super()._fill)

    def _project_now_and_then(self) -> None:
        projected, written = self._projected, self.bytes
        with without_tracing():
            super()._project_now_and_then()
        if self._projected != projected:
            self.projected.append((self._projected, self.bytes - written))
        self.bytes = written

    def _measured(self, work: Callable[[], Any]) -> None:
        number, written = len(self._view.trials), self.bytes
        window = next((end for end in self.ends if end - WINDOW <= number < end), None)
        if window is None:
            work()
            return
        counter = Counter()
        with counter.counting():
            work()
        self.instructions[window] += counter.instructions
        self.written[window] += self.bytes - written


@contextmanager
def without_tracing() -> Iterator[None]:
    tracing = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracing)


@pytest.fixture(scope="module", params=ENDS)
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A search that has ended."""
    search = new_search(tmp_path_factory.mktemp("scale"), parse_space(SPACE, "scale"))
    view = read_run(search.folder, locked=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.echo", lambda *_, **__: None)
        patch.setattr(Measured, "ends", request.param, raising=False)
        started = append_event(search.folder.events, "started", process=os.getpid(), host="test")
        view.apply(started)
        oracle = HyperbandOracle(search.space, view, brackets_from(view.content["plan"]), 0)
        observers = [Progress().take, PlainLines("")]
        for observer in observers:
            observer(started, view)
        budget = Budget(trials=max(request.param))
        loop = Measured(view, oracle, Untraced(SLOTS), data="", observers=observers, budget=budget)
        write = files._write

        def counted(file: Any, data: Any) -> None:
            loop.bytes += len(data)
            write(file, data)

        patch.setattr(files, "_write", counted)
        loop.run()
    assert len(view.trials) == max(request.param)
    return loop


def test_the_work_of_a_trial_does_not_grow(measured: Measured) -> None:
    early, late = measured.instructions.values()
    assert early > 100_000
    assert late <= 1.01 * early, (early, late)


def test_what_is_written_of_a_trial_does_not_grow(measured: Measured) -> None:
    early, late = measured.written.values()
    assert early > 10_000
    assert late <= 1.02 * early, (early, late)


def test_keras_tuners_files_are_behind_by_a_tenth_and_what_they_say_of_a_trial_does_not_grow(
    measured: Measured,
) -> None:
    trials, written = zip(*measured.projected, strict=True)
    assert trials[:10] == tuple(range(1, 11))
    assert all(1.1 * before <= after <= 1.1 * before + 1 for before, after in pairwise(trials))
    early, late = (written[place] / trials[place] for place in (len(trials) // 2, -1))
    assert late <= 1.02 * early, (early, late)
