"""What the driver and the readers cost in a search of 10,000 trials on 64 workers, training aside: two minutes.

    python benchmarks/driver.py [--trials 10000] [--out benchmarks/results/driver.json] [--keep FOLDER]

The search is the real one; its workers answer at once, with the learning curve of a trial that they have written.
create: the oracle's answer, its event on disk, the observers, the job handed to a worker. tell: the result, its event
on disk, the observers, Keras Tuner's files, superseded states. Figures of the trials in (N/2, N] of one run: on the
clock, with and without fsync, and of the processor, which is what counts on a machine that does other things too.
Keras Tuner's files are written ever more seldom: they are in the mean and the maximum. Readers: the median of 7.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median
from typing import Any

from resnet_search import files
from resnet_search.cli.plain import PlainLines
from resnet_search.cli.progress import Progress
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import RunFolder, create_run
from resnet_search.runs.trials import Trial, read_run
from resnet_search.search.budget import Budget
from resnet_search.search.loop import SearchLoop
from resnet_search.search.oracle import HyperbandOracle
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import brackets_from
from resnet_search.training.job import Epoch, Job
from resnet_search.workers.contract import Done, EpochDone, Failed, Message

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.content import WORKERS, searched_content

SPACE = """
[axes]
n = [1, 2, 3, 4, 5, 6, 7, 8, 9]
width = [16, 24, 32, 40, 48, 56, 64]
block = ["basic", "bottleneck", "resnext"]
cardinality = [4, 8, 16]
shortcut = ["identity", "projection"]
[hyperband]
max_epochs = 81
iterations = {iterations}
[recipe]
learning_rate = {{ min = 0.05, max = 0.2, log = true }}
[data]
source = "shapes"
"""
TRIALS_OF_AN_ITERATION = 211
SLOTS = 64
READERS = {
    "trials": ["trials", "latest"],
    "trials --top 20": ["trials", "latest", "--top", "20"],
    "trials --all": ["trials", "latest", "--all"],
    "trials --json": ["trials", "latest", "--json"],
    "list": ["list"],
    "show": ["show", "latest", "0"],
    "--version": ["--version"],
}
TIMES = 7
# Seconds of one step: on the clock, of these in fsync, of the processor.
Times = tuple[float, float, float]


class Instant:
    """`Workers` that have trained a trial as soon as they are asked how it is going, the first that was submitted."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._jobs: list[tuple[int, Job]] = []
        self._messages: list[Message] = []

    def submit(self, slot: int, job: Job) -> None:
        self._jobs.append((slot, job))

    def cancel(self, slot: int) -> None:
        raise NotImplementedError

    def wait(self, seconds: float) -> Message:
        del seconds
        if not self._messages:
            self._messages = self._trained(*self._jobs.pop(0))
        return self._messages.pop(0)

    def close(self) -> None:
        self._jobs.clear()

    def _trained(self, slot: int, job: Job) -> list[Message]:
        history = tuple(_epoch(job, epoch) for epoch in range(job.initial_epoch + 1, job.epochs + 1))
        folder = Path(job.folder)
        folder.mkdir(exist_ok=True)
        text = "".join(json.dumps(line.to_dict()) + "\n" for line in history)
        (folder / "history.jsonl").write_text(text, encoding="utf-8")
        return [*(EpochDone(slot, job.trial, line) for line in history), Done(slot, job.trial, history, 1.0)]


def _epoch(job: Job, epoch: int) -> Epoch:
    value = (job.seed % 9973) / 9973 * epoch / (epoch + 3)
    return Epoch(
        epoch=epoch, loss=2.3 - value, accuracy=value, val_loss=2.3 - value, val_accuracy=value, learning_rate=0.1,
        train_seconds=1.0, validation_seconds=0.1,
    )  # fmt: skip


class Timed(SearchLoop):
    """A search that says how long each trial took it to create and to tell."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.creating: list[Times] = []
        self.telling: list[Times] = []
        self.syncing = 0.0
        self._created_in: Times = (0.0, 0.0, 0.0)

    def _create(self) -> Trial | None:
        with self._timed(found := []):
            trial = super()._create()
        self._created_in = found[0]
        return trial

    def _begin(self, trial: Trial) -> None:
        with self._timed(found := []):
            super()._begin(trial)
        first, second = self._created_in, found[0]
        self.creating.append((first[0] + second[0], first[1] + second[1], first[2] + second[2]))

    def _end(self, message: Done | Failed) -> None:
        with self._timed(self.telling):
            super()._end(message)

    @contextmanager
    def _timed(self, found: list[Times]) -> Iterator[None]:
        begin, syncing, processor = time.perf_counter(), self.syncing, time.thread_time()
        yield
        found.append((time.perf_counter() - begin, self.syncing - syncing, time.thread_time() - processor))


def drive(runs_dir: Path, trials: int) -> tuple[RunFolder, Timed]:
    """A search of so many trials, and what it measured."""
    text = SPACE.format(iterations=-(-trials // TRIALS_OF_AN_ITERATION))
    space = parse_space(text, "driver")
    content = {**searched_content(space, 0), "workers": {**WORKERS, "slots": SLOTS}}
    folder = create_run(runs_dir, "driver", content)
    view = read_run(folder, locked=False)
    line = append_event(folder.events, "started", process=os.getpid(), host="benchmark")
    view.apply(line)
    oracle = HyperbandOracle(space, view, brackets_from(content["plan"]), 0)
    progress, plain = Progress(), PlainLines("")
    observers = [progress.take, plain]
    for observer in observers:
        observer(line, view)
    loop = Timed(view, oracle, Instant(SLOTS), data="", observers=observers, budget=Budget(trials=trials))
    sync = files._sync  # noqa: SLF001 - the one place where this program waits for a disk

    def timed(file: Any) -> None:
        begin = time.perf_counter()
        sync(file)
        loop.syncing += time.perf_counter() - begin

    files._sync = timed  # noqa: SLF001
    loop.run()
    files._sync = sync  # noqa: SLF001
    return folder, loop


def figures(name: str, times: Sequence[Times], until: int) -> dict[str, Any]:
    """Milliseconds of the trials in (until / 2, until]."""
    window = times[until // 2 : until]
    kinds = {
        "": [seconds for seconds, _, _ in window],
        "_without_fsync": [seconds - syncing for seconds, syncing, _ in window],
        "_processor": [processor for _, _, processor in window],
    }
    found: dict[str, Any] = {"step": name, "trials": until, "n": len(window)}
    for kind, seconds in kinds.items():
        ordered = sorted(1e3 * each for each in seconds)
        found |= {
            f"median_ms{kind}": round(median(ordered), 3), f"p99_ms{kind}": round(ordered[int(0.99 * len(ordered))], 3),
            f"mean_ms{kind}": round(mean(ordered), 3), f"max_ms{kind}": round(ordered[-1], 1),
        }  # fmt: skip
    return found


def readers(runs_dir: Path, trials: int) -> Iterator[dict[str, Any]]:
    """Seconds of each command that reads, in a process of its own."""
    for name, words in READERS.items():
        clock, processor = [], []
        for _ in range(TIMES):
            begin, before = time.perf_counter(), _children()
            place = [] if name == "--version" else ["--runs-dir", str(runs_dir)]
            command = [sys.executable, "-m", "resnet_search", *words, *place]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            clock.append(time.perf_counter() - begin)
            processor.append(_children() - before)
        yield {
            "reader": name, "trials": trials, "n": TIMES, "median_s": round(median(clock), 3),
            "max_s": round(max(clock), 3), "median_s_processor": round(median(processor), 3),
        }  # fmt: skip


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Drive a search, read it, and print what both took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="Where the run is made, and stays.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        runs_dir = arguments.keep or Path(temporary)
        with Path(temporary, "said").open("w") as said:
            shown, sys.stdout = sys.stdout, said
            folder, loop = drive(runs_dir, arguments.trials)
            sys.stdout = shown
        sizes = [10**power for power in range(2, 7) if 10**power <= arguments.trials]
        found: list[dict[str, Any]] = [
            figures(name, times, size)
            for size in sizes
            for name, times in (("create", loop.creating), ("tell", loop.telling))
        ]
        written = sum(path.stat().st_size for path in (folder.events, folder.path / "oracle.json"))
        found.append({"trials": arguments.trials, "megabytes_of_events_and_oracle": round(written / 1e6, 1)})
        found += readers(runs_dir, arguments.trials)
    for line in found:
        print(json.dumps(line))
    if arguments.out:
        where = {"python": platform.python_version(), "processors": os.cpu_count(), "slots": SLOTS}
        files.write_json(arguments.out, {**where, "measured": found})


if __name__ == "__main__":
    main()
