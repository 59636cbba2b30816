"""What a trial costs the driver does not grow with the number of trials: counted, not timed.

Counted are the instructions that Python executes, in this package and in Keras Tuner, and the bytes that are written
through `files`, for the same number of trials early in a search and late in it, on 64 workers that answer at once.
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
EARLY, LATE, WINDOW = 300, 1_500, 230  # trials; the window is ten iterations
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
    """A search that counts what its trials cost, some early and some late."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.found: dict[int, int] = {EARLY: 0, LATE: 0}
        self.projected: list[int] = []

    def _hear(self) -> None:
        self._measured(super()._hear)

    def _fill(self) -> None:
        self._measured(super()._fill)

    def _project_now_and_then(self) -> None:
        before = self._projected
        with without_tracing():  # Amortised: the bytes that it writes are counted over the whole search.
            super()._project_now_and_then()
        if self._projected != before:
            self.projected.append(self._projected)

    def _measured(self, work: Callable[[], Any]) -> None:
        number = len(self._view.trials)
        window = next((end for end in (EARLY, LATE) if end - WINDOW < number <= end), None)
        counter = Counter()
        if window is None:
            work()
            return
        with counter.counting():
            work()
        self.found[window] += counter.instructions


@contextmanager
def without_tracing() -> Iterator[None]:
    tracing = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracing)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, dict[int, int]]:
    """A search of 1,500 trials, and the bytes that were written until so many had been created."""
    search = new_search(tmp_path_factory.mktemp("scale"), parse_space(SPACE, "scale"))
    view = read_run(search.folder, locked=False)
    written: dict[int, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr("click.echo", lambda *_, **__: None)
        total = 0
        write = files._write

        def counted(file: Any, data: Any) -> None:
            nonlocal total
            total += len(data)
            written[len(view.trials)] = total
            write(file, data)

        patch.setattr(files, "_write", counted)
        started = append_event(search.folder.events, "started", process=os.getpid(), host="test")
        view.apply(started)
        oracle = HyperbandOracle(search.space, view, brackets_from(view.content["plan"]), 0)
        observers = [Progress().take, PlainLines("")]
        for observer in observers:
            observer(started, view)
        budget = Budget(trials=LATE)
        loop = Measured(view, oracle, Untraced(SLOTS), data="", observers=observers, budget=budget)
        loop.run()
    assert len(view.trials) == LATE
    return loop, written


def test_the_work_of_a_trial_does_not_grow(measured: tuple[Measured, dict[int, int]]) -> None:
    found = measured[0].found
    assert found[LATE] <= 1.15 * found[EARLY], found


def test_what_is_written_of_a_trial_does_not_grow(measured: tuple[Measured, dict[int, int]]) -> None:
    _, written = measured
    early, late = (written[end] / end for end in (EARLY, LATE))
    assert late <= 1.15 * early, (early, late)


def test_keras_tuners_files_are_behind_by_a_tenth_at_most(measured: tuple[Measured, dict[int, int]]) -> None:
    projected = measured[0].projected
    assert projected[:10] == list(range(1, 11))
    assert all(after <= 1.1 * before + 1 for before, after in pairwise(projected))
    assert len(projected) < 80
