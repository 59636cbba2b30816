"""A search without training: workers that know every score, and a run folder to search in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.content import searched_content
from resnet_search.files import append_line, write_text
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import RunFolder, create_run
from resnet_search.runs.planned import check_drivable
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search.budget import Budget
from resnet_search.search.final import carry_out
from resnet_search.search.loop import SearchLoop
from resnet_search.search.oracle import HyperbandOracle
from resnet_search.search.resume import ResumeSettings, extension, to_retry
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import brackets_from
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import Epoch, Job
from resnet_search.training.length import validations
from resnet_search.workers.contract import Divided, Done, EpochDone, Failed, Lost, Message, Stopped

SPACE = """
[axes]
n = [1, 2, 3]
width = [4, 6, 8]
block = ["basic", "resnext"]
cardinality = [2, 4]
[hyperband]
max_epochs = {max_epochs}
[data]
source = "shapes"
{extra}
"""


def make_space(max_epochs: int = 9, extra: str = "") -> SearchSpace:
    return parse_space(SPACE.format(max_epochs=max_epochs, extra=extra), "test")


def accuracy(job: Job, epoch: int) -> float:
    """A learning curve that depends on the candidate alone."""
    return round((job.seed % 97) / 100 * epoch / (epoch + 3), 6)


class KnownWorkers:
    """`workers.contract.Workers` whose jobs end in the order `choose` says, with known scores.

    `outcome` says of a job and how often it was submitted: "done", "failed", "lost", "stopped" or "divided".
    """

    def __init__(
        self,
        slots: int,
        outcome: Callable[[Job, int], str] = lambda *_: "done",
        choose: Callable[[list[int]], int] = min,
        *,
        stop_after: int | None = None,
    ) -> None:
        self.slots, self._outcome, self._choose = slots, outcome, choose
        self._jobs: dict[int, Job] = {}
        self._queue: list[Message] = []
        self._left = stop_after
        self.submitted: list[Job] = []

    def submit(self, slot: int, job: Job) -> None:
        assert slot not in self._jobs, "one job at a time in a slot"
        self._jobs[slot] = job
        self.submitted.append(job)

    def cancel(self, slot: int) -> None:
        self._jobs.pop(slot, None)
        self._queue = [message for message in self._queue if message.slot != slot]

    def wait(self, seconds: float) -> Message | None:
        assert seconds > 0
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        if not self._queue:
            slot = self._choose(sorted(self._jobs))
            self._queue = self._work(slot, self._jobs.pop(slot))
        return self._queue.pop(0)

    def close(self) -> None:
        self._jobs.clear()

    def _work(self, slot: int, job: Job) -> list[Message]:
        times = sum(other.trial == job.trial for other in self.submitted)
        outcome = self._outcome(job, times)
        if outcome == "lost":
            return [Lost(slot, job.trial, -9, "was killed (SIGKILL)")]
        if outcome == "stopped":
            return [Stopped(slot, job.trial, "No space left on device")]
        if outcome == "failed":
            return [Failed(slot, job.trial, "the loss was nan", "the loss was nan in epoch 1")]
        if outcome == "divided":
            return [Divided(slot, job.trial, 2 * job.parts), *self._train(slot, job)]
        return self._train(slot, job)

    def _train(self, slot: int, job: Job) -> list[Message]:
        folder = Path(job.folder)
        folder.mkdir(exist_ok=True)
        write_text(folder / "history.jsonl", "")
        history = []
        for epoch in validations(job.initial_epoch, job.epochs):
            value = accuracy(job, epoch)
            line = Epoch(
                epoch=epoch, loss=1.0, accuracy=value, val_loss=1.5 - value, val_accuracy=value, learning_rate=0.1,
                train_seconds=0.1, validation_seconds=0.02,
            )  # fmt: skip
            append_line(folder / "history.jsonl", line.to_dict())
            history.append(line)
        messages: list[Message] = [EpochDone(slot, job.trial, line) for line in history]
        return [*messages, Done(slot, job.trial, tuple(history), 0.12345)]


class Search:
    """A run folder and drivers for it, one after another."""

    def __init__(self, folder: RunFolder, space: SearchSpace) -> None:
        self.folder, self.space = folder, space
        self.heard: list[dict] = []

    def drive(
        self, workers: KnownWorkers, budget: Budget | None = None, settings: ResumeSettings | None = None
    ) -> RunView:
        view = read_run(self.folder, locked=False)
        check_drivable(view)
        longer = extension(view, settings) if settings and settings.extends else None
        failed = to_retry(view) if settings and settings.retry_failed else []
        view.apply(append_event(self.folder.events, "started", process=os.getpid(), host="test"))
        if longer:
            view.apply(append_event(self.folder.events, "extended", **longer))
        for trial in failed:
            view.apply(append_event(self.folder.events, "retried", trial=trial))
        view.state = "running"
        observers = [lambda event, _: self.heard.append(event)]
        budget = budget or Budget()

        def search(started: int) -> int:
            content = view.content
            space = SearchSpace.from_dict(content["space"])
            oracle = HyperbandOracle(space, view, brackets_from(content["plan"]), content["seed"])
            loop = SearchLoop(view, oracle, workers, data="", observers=observers, budget=budget, started=started)
            loop.run()
            return loop.started

        carry_out(view, budget, observers, search)
        return read_run(self.folder, locked=False)


def new_search(runs_dir: Path, space: SearchSpace | None = None, seed: int = 0, number: int = 0) -> Search:
    """A run of a space that has not begun; `number` tells several apart."""
    space = space or make_space()
    return Search(create_run(runs_dir, f"run{number}", searched_content(space, seed)), space)


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Callable[..., RunView]:
    """A search that nothing happens to, made once for each space, seed and number of workers; only to be read."""
    made: dict[str, RunView] = {}

    def search(space: SearchSpace | None = None, *, workers: int = 1, seed: int = 0) -> RunView:
        space = space or make_space()
        key = repr((space.to_dict(), workers, seed))
        if key not in made:
            made[key] = new_search(tmp_path_factory.mktemp("whole"), space, seed).drive(KnownWorkers(workers))
        return made[key]

    return search


@pytest.fixture
def make_search(tmp_path):
    """`new_search`, in a folder of the test."""

    def make(space: SearchSpace | None = None, seed: int = 0, number: int = 0) -> Search:
        return new_search(tmp_path, space, seed, number)

    return make
