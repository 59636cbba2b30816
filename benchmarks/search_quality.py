"""Which search finds the better network for the same number of epochs: this project's, random, plain Keras Tuner's.

    python benchmarks/search_quality.py [--seeds 100] [--iterations 3] [--table CURVES] [--shuffle] [--out RESULTS]

Every search is played on a recorded table of learning curves (record_curves.py), so that an epoch costs nothing and
all three are told the same numbers. Regret: the best accuracy in the table after the last epoch, less that of the
network that the search would hand over at that moment, after the last epoch too, however far it was trained.

- resnet-search: `SearchLoop` and `HyperbandOracle` as they are, with one worker that answers from the table. It hands
  over `RunView.leader`: the best of those trained longest. What was trained before costs nothing again. A second row
  has `sampler = "model"`.
- random search: architectures drawn without repetition, each trained in full; the best so far.
- Keras Tuner: `keras_tuner.Hyperband.search` as it is, on the same axes; only `run_trial` answers from the table, with
  the history of the epochs that `fit` would have trained. It hands over `get_best_trials(1)`: of all trials. That a
  promotion of its own starts again from the best epoch and forgets the optimizer is left out, in its favour.

--shuffle gives each network the curve of another, in an order of its own for each seed, so that nothing can be learned
from what the networks are.

100 seeds and 3 iterations take about 5 minutes, and no training. Results: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.files import append_line, make_folder
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.events import Event, append_event
from resnet_search.runs.folder import create_run
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search.loop import SearchLoop
from resnet_search.search.oracle import HyperbandOracle
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import brackets_from, make_plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import HISTORY, Epoch, Job
from resnet_search.workers.contract import Done, Message

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.content import searched_content

RESULTS = Path(__file__).parent / "results"
RESAMPLES = 2_000

Course = list[tuple[int, str]]
"""After how many epochs in all a search would hand over which network; a pair wherever a trial ended."""


@dataclass(frozen=True)
class Table:
    """Learning curves by the name of the architecture, all of the same length."""

    space: SearchSpace
    curves: dict[str, list[float]]

    @classmethod
    def read(cls, path: Path) -> Table:
        """Of a file that record_curves.py wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        # Recorded as a grid; every search here goes by its own plan.
        space = parse_space(content["space"].replace('method = "grid"', ""), "curves")
        return cls(space, {row["name"]: row["val_accuracy"] for row in content["architectures"]})

    @property
    def epochs(self) -> int:
        """Epochs of the full budget."""
        return self.space.hyperband.max_epochs

    @cached_property
    def best(self) -> float:
        """The best accuracy after the full budget."""
        return max(curve[-1] for curve in self.curves.values())

    def shuffled(self, seed: int) -> Table:
        """Return the table with its curves shuffled among the networks."""
        curves = list(self.curves.values())
        random.Random(seed).shuffle(curves)
        return Table(self.space, dict(zip(self.curves, curves, strict=True)))

    def regret(self, name: str) -> float:
        """How much less accurate a network is than the best, both after the full budget."""
        return self.best - self.curves[name][-1]


class TableWorker:
    """`workers.contract.Workers` of one slot that looks the curve up instead of training."""

    slots = 1

    def __init__(self, table: Table) -> None:
        self._table = table
        self._job: Job | None = None
        self.submitted: list[Job] = []

    def submit(self, slot: int, job: Job) -> None:
        """Take the job of the one slot."""
        if slot != 0 or self._job is not None:
            raise RuntimeError("one job at a time, in slot 0")
        self._job = job
        self.submitted.append(job)

    def cancel(self, slot: int) -> None:
        raise NotImplementedError

    def wait(self, seconds: float) -> Message | None:
        """The end of the job, at once."""
        del seconds
        if self._job is None:
            return None
        job, self._job = self._job, None
        curve = self._table.curves[Architecture.from_dict(job.architecture).name]
        history = tuple(_line(epoch, curve[epoch - 1]) for epoch in range(job.initial_epoch + 1, job.epochs + 1))
        make_folder(Path(job.folder))
        for line in history:
            append_line(Path(job.folder) / HISTORY, line.to_dict())
        return Done(0, job.trial, history, 0.0)

    def close(self) -> None:
        """Nothing runs."""


def _line(epoch: int, accuracy: float) -> Epoch:
    return Epoch(
        epoch=epoch, loss=0.0, accuracy=accuracy, val_loss=1 - accuracy, val_accuracy=accuracy, learning_rate=0.0,
        train_seconds=0.0, validation_seconds=0.0,
    )  # fmt: skip


def ours(table: Table, seed: int, iterations: int, folder: Path, sampler: str = "random") -> Course:
    """The search of this project, in a run folder of its own."""
    space = table.space.with_settings(iterations=iterations, sampler=sampler)
    content = searched_content(space, seed)
    view = read_run(create_run(folder, "run", content), locked=False)
    view.apply(append_event(view.folder.events, "started", process=os.getpid(), host="table"))
    course: Course = []

    def see(event: Event, view: RunView) -> None:
        if event["event"] == "completed" and view.leader is not None:
            spent = course[-1][0] if course else 0
            course.append((spent + view.trials[event["trial"]].trained_epochs, view.leader.name))

    oracle = HyperbandOracle(space, view, brackets_from(content["plan"]), seed)
    SearchLoop(view, oracle, TableWorker(table), data="", observers=[see]).run()
    return course


def randomly(table: Table, seed: int, iterations: int, folder: Path) -> Course:
    """Random search, for as many epochs as `ours` has planned."""
    del folder
    budget = make_plan(table.space.with_settings(iterations=iterations)).epochs
    count = min(budget // table.epochs, len(table.curves))
    drawn = random.Random(f"random search;{seed}").sample(sorted(table.curves), count)
    return [
        (number * table.epochs, max(drawn[:number], key=lambda name: table.curves[name][-1]))
        for number in range(1, count + 1)
    ]


def keras_tuners(table: Table, seed: int, iterations: int, folder: Path) -> Course:
    """Keras Tuner's Hyperband; it ends where it ends."""
    import keras
    import keras_tuner

    axes = table.space.axes
    course: Course = []

    class OnTable(keras_tuner.Hyperband):
        def run_trial(self, trial: Any, *_: Any, **__: Any) -> list[Any]:
            values = trial.hyperparameters.values
            curve = table.curves[network(values)]
            history = keras.callbacks.History()
            history.history = {"val_accuracy": curve[values["tuner/initial_epoch"] : values["tuner/epochs"]]}
            return [history]

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            values = trial.hyperparameters.values
            spent = course[-1][0] if course else 0
            best = self.oracle.get_best_trials(1)[0]
            trained = values["tuner/epochs"] - values["tuner/initial_epoch"]
            course.append((spent + trained, network(best.hyperparameters.values)))

    def network(values: dict[str, Any]) -> str:
        known = {axis: values[axis] for axis in ("n", "width", "block", "cardinality") if axis in values}
        return Architecture.from_axes(**known).name

    hp = keras_tuner.HyperParameters()
    hp.Choice("n", list(axes.n))
    hp.Choice("width", list(axes.width))
    hp.Choice("block", list(axes.block))
    with hp.conditional_scope("block", ["resnext"]):
        hp.Choice("cardinality", list(axes.cardinality))
    tuner = OnTable(
        hyperparameters=hp, objective=keras_tuner.Objective("val_accuracy", "max"), max_epochs=table.epochs,
        factor=table.space.hyperband.factor, hyperband_iterations=iterations,
        seed=seed + 1,  # It takes 0 for no seed.
        directory=folder, project_name="search",
    )  # fmt: skip
    tuner.search(verbose=0)
    return course


SEARCHES: dict[str, Callable[[Table, int, int, Path], Course]] = {
    "resnet-search": ours,
    "resnet-search, model": partial(ours, sampler="model"),
    "random search": randomly,
    "Keras Tuner": keras_tuners,
}


def play(table: Table, name: str, seeds: int, iterations: int, *, shuffle: bool = False) -> list[Course]:
    """One search with each seed."""
    courses = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            played = table.shuffled(seed) if shuffle else table
            courses.append(SEARCHES[name](played, seed, iterations, Path(folder)))
    return courses


def regrets(table: Table, courses: Sequence[Course], epochs: int, *, shuffle: bool = False) -> np.ndarray:
    """Of shape (searches, epochs): the regret after 1, 2, ... epochs, NaN where nothing has been trained yet."""
    found = np.full((len(courses), epochs), np.nan)
    for seed, (row, course) in enumerate(zip(found, courses, strict=True)):
        played = table.shuffled(seed) if shuffle else table
        for spent, name in course:
            row[spent - 1 :] = played.regret(name)
    return found


def summary(found: np.ndarray) -> dict[str, list[float | None]]:
    """Mean regret with its 95 % interval (bootstrap over seeds), median, and share of searches without any."""
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(found), size=(RESAMPLES, len(found)))
    means = np.stack([found[rows].mean(axis=0) for rows in chosen])
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    columns = {
        "mean": found.mean(axis=0), "low": low, "high": high, "median": np.median(found, axis=0),
        "best_found": np.where(np.isnan(found), np.nan, found <= 0).mean(axis=0),
    }  # fmt: skip
    return {
        key: [None if np.isnan(value) else round(float(value), 5) for value in values]
        for key, values in columns.items()
    }


def rank_correlations(table: Table) -> dict[int, float]:
    """Of the accuracies at the end of each rung with those of the full budget (Spearman)."""
    from scipy.stats import spearmanr

    ends = {rung.epochs for bracket in make_plan(table.space).brackets for rung in bracket.rungs}
    curves = np.array(list(table.curves.values()))
    return {
        epochs: round(float(spearmanr(curves[:, epochs - 1], curves[:, -1]).statistic), 3) for epochs in sorted(ends)
    }


def measure(table: Table, seeds: int, iterations: int, *, shuffle: bool = False) -> dict[str, Any]:
    """Every search with every seed, as the chart and the report need it."""
    one_pass = make_plan(table.space).epochs
    methods = {}
    for name in SEARCHES:
        courses = play(table, name, seeds, iterations, shuffle=shuffle)
        found = regrets(table, courses, one_pass * iterations, shuffle=shuffle)
        spent = [course[-1][0] for course in courses]
        methods[name] = {
            "epochs_spent": {"least": min(spent), "median": float(np.median(spent)), "most": max(spent)},
            "area": round(float(np.nanmean(found)), 5),
            **summary(found),
        }
    return {
        "seeds": seeds, "iterations": iterations, "one_pass": one_pass, "architectures": len(table.curves),
        "best": table.best, "rank_correlations": rank_correlations(table), "methods": methods,
    }  # fmt: skip


def report(results: dict[str, Any]) -> None:
    """A table for the README."""
    one_pass = results["one_pass"]
    passes = [number * one_pass for number in range(1, results["iterations"] + 1)]
    print("| epochs | search | mean regret (95 % interval) | median | found the best |")
    print("|---|---|---|---|---|")
    for epochs in sorted({9, 21, 36, 48, *passes}):
        for name, columns in results["methods"].items():
            mean, low, high, median, best = (
                columns[key][epochs - 1] for key in ("mean", "low", "high", "median", "best_found")
            )
            print(f"| {epochs} | {name} | {mean:.4f} ({low:.4f} to {high:.4f}) | {median:.4f} | {best:.0%} |")
    print(f"rank correlation with the last epoch, by epoch: {results['rank_correlations']}")
    for name, columns in results["methods"].items():
        spent = columns["epochs_spent"]
        print(f"{name}: {spent['least']} to {spent['most']} epochs spent, median {spent['median']:.0f}", end="")
        print(f"; mean regret over all epochs {columns['area']:.4f}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--table", type=Path, default=RESULTS / "curves.json")
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS / "search_quality.json")
    arguments = parser.parse_args()
    table = Table.read(arguments.table)
    results = measure(table, arguments.seeds, arguments.iterations, shuffle=arguments.shuffle)
    arguments.out.write_text(json.dumps(results) + "\n", encoding="utf-8")
    report(results)


if __name__ == "__main__":
    main()
