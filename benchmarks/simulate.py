"""A search on 1 to 4,096 workers, on a virtual clock: how busy they are, when the best is there, what the driver does.

    python benchmarks/simulate.py utilisation [--trials 100 1000 10000 100000] [--workers 1 16 64 256 1024 4096]
    python benchmarks/simulate.py promotion [--seeds 100] [--plans 1x16 1x64 1x256 5x256] [--table CURVES]

The search is the real one: `SearchLoop`, `HyperbandOracle`, a run folder with its events. Only the workers are played:
those of virtual.py look a learning curve up and say how long it would have taken. Their clock moves from one end of a
trial to the next; the driver is busy for 3 ms of it at each, so that one which cannot keep up would be seen. Folders
lie where TMPDIR says until they are done; no figure counts waiting for a disk.

Curves are synthetic (virtual.py states the model) or, with a table of record_curves.py, recorded. The space is
cifar_full as it ships: 81 epochs, 211 trials an iteration, and a learning rate that varies, so that no candidate comes
twice; with as many iterations as the trials need. About 100 trials: two iterations of 27 epochs.

`utilisation`: a search for each number of workers and trials. `promotion`: so many iterations on so many workers, with
each seed, `--promotion sync` beside `async`. 2 ms a trial: minutes for 100,000 trials, an hour for everything.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any
from unittest import mock

from resnet_search.files import append_line
from resnet_search.runs.events import Event, append_event
from resnet_search.runs.folder import create_run
from resnet_search.runs.trials import RunView, Trial, read_run
from resnet_search.search.loop import SearchLoop
from resnet_search.search.oracle import HyperbandOracle
from resnet_search.spaces.load import load_space, parse_space
from resnet_search.spaces.plan import brackets_from, make_plan
from resnet_search.spaces.space import SearchSpace

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.content import searched_content
from benchmarks.virtual import Curves, Recorded, Synthetic, VirtualWorkers

RESULTS = Path(__file__).parent / "results"
SPACE = "cifar_full"
CLOSE = 0.01  # of the best accuracy: within a point it is as good as found
POINTS = 200  # at which regret is looked at


@dataclass
class Course:
    """What a simulated search was like; times in seconds of its clock.

    `leaders`: from when on which accuracy was that of the best of those trained longest, after the full budget and
    without noise. `best`: the highest of all that were drawn. `costs`: milliseconds of the processor that the driver
    needed for each trial that ended, without waiting for a disk.
    """

    seconds: float
    utilisation: float
    trials: int
    epochs: int
    leaders: list[tuple[float, float]]
    best: float
    costs: list[float]

    def regret(self, when: float) -> float:
        """How much less accurate than the best the leader is at a time; before there is one, as much as can be."""
        place = bisect_right(self.leaders, (when, math.inf))
        return self.best - self.leaders[place - 1][1] if place else self.best

    @property
    def reached(self) -> float:
        """From when on the leader is within `CLOSE` of the best for good, infinite if it never is."""
        reached = math.inf
        for when, accuracy in reversed(self.leaders):
            if self.best - accuracy > CLOSE:
                break
            reached = when
        return reached


def search(space: SearchSpace, curves: Curves, workers: int, seed: int) -> Course:
    """One search on so many workers, in a run folder that goes when it is done."""
    with tempfile.TemporaryDirectory() as folder:
        return _search(space, curves, workers, seed, Path(folder))


def _search(space: SearchSpace, curves: Curves, workers: int, seed: int, folder: Path) -> Course:
    content = searched_content(space, seed)
    view = read_run(create_run(folder, "run", content), locked=False)
    view.apply(append_event(view.folder.events, "started", process=os.getpid(), host="virtual"))
    pool = VirtualWorkers(workers, curves)
    leaders: list[tuple[float, Trial]] = []
    costs: list[float] = []

    def see(event: Event, view: RunView) -> None:
        if event["event"] != "completed":
            return
        trial = view.trials[event["trial"]]
        if not leaders or view.rank(trial) < view.rank(leaders[-1][1]):
            leaders.append((pool.now, trial))
        costs.append(1e3 * (time.thread_time() - pool.processor))

    oracle = HyperbandOracle(space, view, brackets_from(content["plan"]), seed)
    begin = 1e3 * time.thread_time()
    with mock.patch.object(os, "fsync"):
        SearchLoop(view, oracle, pool, data="", observers=[see]).run()
    final = {view.trials[job.trial].candidate: curves.final(job) for job in pool.submitted}
    return Course(
        seconds=pool.now,
        utilisation=pool.busy / (workers * pool.now),
        trials=len(view.trials),
        epochs=sum(job.epochs - job.initial_epoch for job in pool.submitted),
        leaders=[(when, final[trial.candidate]) for when, trial in leaders],
        best=max(final.values()),
        costs=[now - before for before, now in pairwise([begin, *costs])],
    )


def space_of(trials: int) -> SearchSpace:
    """The space, with iterations for about so many trials."""
    space = load_space(SPACE)
    if trials < make_plan(space).trials:
        space = space.with_settings(max_epochs=27)
    return space.with_settings(iterations=math.ceil(trials / make_plan(space).trials))


def utilisation(trials: Sequence[int], workers: Sequence[int], promotion: str) -> Iterator[dict[str, Any]]:
    """A search for each number of trials and workers; the driver's cost is of the later half of its trials."""
    for number in trials:
        space = space_of(number).with_settings(promotion=promotion)
        for count in workers:
            course = search(space, Synthetic(space), count, seed=0)
            costs = course.costs[len(course.costs) // 2 :]
            yield {
                "promotion": promotion, "planned": make_plan(space).trials, "trials": course.trials,
                "epochs": course.epochs, "workers": count, "utilisation": round(course.utilisation, 4),
                "hours": round(course.seconds / 3600, 3), "median_ms": round(median(costs), 3),
                "mean_ms": round(fmean(costs), 3), "max_ms": round(max(costs), 1),
            }  # fmt: skip


def promotion(plans: Sequence[tuple[int, int]], seeds: int, table: Path | None) -> Iterator[dict[str, Any]]:
    """Both rules on the same draws, for each number of iterations and workers."""
    for iterations, workers in plans:
        space = _space_of_table(table) if table else load_space(SPACE)
        space = space.with_settings(iterations=iterations)
        curves = Recorded.read(table) if table else Synthetic(space)
        courses = {
            rule: [search(space.with_settings(promotion=rule), curves, workers, seed) for seed in range(seeds)]
            for rule in ("sync", "async")
        }
        longest = max(course.seconds for each in courses.values() for course in each)
        times = [longest * number / POINTS for number in range(1, POINTS + 1)]
        regrets = {rule: [[one.regret(when) for when in times] for one in each] for rule, each in courses.items()}
        for rule, each in courses.items():
            pairs = zip(regrets[rule], regrets["sync"], strict=True)
            less = [[a - b for a, b in zip(*pair, strict=True)] for pair in pairs]
            columns = zip(*less, strict=True)
            reached = sorted(course.reached / 3600 for course in each)
            yield {
                "promotion": rule, "iterations": iterations, "workers": workers, "seeds": seeds,
                "trials": fmean(course.trials for course in each), "epochs": fmean(course.epochs for course in each),
                "utilisation": round(fmean(course.utilisation for course in each), 4),
                "hours": round(fmean(course.seconds for course in each) / 3600, 3),
                "reached_hours": [round(hours, 3) if hours < math.inf else None for hours in reached],
                "times_hours": [round(when / 3600, 4) for when in times],
                "regret": [round(fmean(column), 5) for column in zip(*regrets[rule], strict=True)],
                "less_than_sync": [[round(value, 5) for value in _interval(column)] for column in columns],
            }  # fmt: skip


def _space_of_table(table: Path) -> SearchSpace:
    text = json.loads(table.read_text(encoding="utf-8"))["space"]
    return parse_space(text.replace('method = "grid"', ""), "curves")


def _interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and its 95 % interval (normal)."""
    mean, half = fmean(values), 1.96 * stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def _plan(word: str) -> tuple[int, int]:
    iterations, workers = word.split("x")
    return int(iterations), int(workers)


def main() -> None:
    """Read the command line; a line of results each time a search is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("utilisation")
    first.add_argument("--trials", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    first.add_argument("--workers", type=int, nargs="+", default=[1, 16, 64, 256, 1_024, 4_096])
    first.add_argument("--promotion", default="sync")
    first.add_argument("--out", type=Path, default=RESULTS / "simulation_utilisation.jsonl")
    second = commands.add_parser("promotion")
    second.add_argument("--plans", type=_plan, nargs="+", default=[(1, 16), (1, 64), (1, 256), (5, 256)])
    second.add_argument("--seeds", type=int, default=100)
    second.add_argument("--table", type=Path)
    second.add_argument("--out", type=Path, default=RESULTS / "simulation_promotion.jsonl")
    given = parser.parse_args()
    if given.command == "utilisation":
        lines = utilisation(given.trials, given.workers, given.promotion)
    else:
        lines = promotion(given.plans, given.seeds, given.table)
    for line in lines:
        append_line(given.out, line)
        print(json.dumps({key: value for key, value in line.items() if not isinstance(value, list)}), flush=True)


if __name__ == "__main__":
    main()
