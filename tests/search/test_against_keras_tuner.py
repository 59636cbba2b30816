"""Where Keras Tuner's own Hyperband goes wrong, and the same search here: the traps of the schedule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import keras_tuner
import pytest
from keras_tuner.oracles import HyperbandOracle

from resnet_search.runs.trials import RunView
from tests.faults.table import fault

from .conftest import KnownWorkers, make_space
from .test_loop import planned, rungs

pytestmark = pytest.mark.interface

Outcome = Callable[[Any, int], "float | None"]


def oracle_of(declare: Callable[[Any], None], *, max_epochs: int = 27, **settings: Any) -> HyperbandOracle:
    """Keras Tuner's oracle on a space, without files."""
    oracle = HyperbandOracle(keras_tuner.Objective("score", "max"), max_epochs=max_epochs, factor=3, **settings)
    oracle.verbose = 0
    declare(oracle.hyperparameters)
    oracle._set_project_dir = lambda *_: None
    oracle._save_trial = oracle.save = lambda *_: None
    return oracle


def search(oracle: HyperbandOracle, outcome: Outcome = lambda *_: None) -> list[dict[str, Any]]:
    """One worker until the oracle stops: the values of all trials. `outcome` gives a score, or NaN to fail."""
    values = []
    while (trial := oracle.create_trial("worker")).status == "RUNNING":
        values.append(trial.hyperparameters.values)
        score = outcome(trial, len(values) - 1)
        score = len(values) / 1000 if score is None else score
        if math.isnan(score):
            trial.status = "FAILED"
        else:
            oracle.update_trial(trial.trial_id, {"score": score})
            trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return values


def sizes(values: list[dict[str, Any]]) -> Counter[tuple[int, int]]:
    """Trials by the epochs they begin and end at."""
    return Counter((v["tuner/initial_epoch"], v["tuner/epochs"]) for v in values)


def sizes_here(view: RunView) -> Counter[tuple[int, int]]:
    """The same of a run: completed trials alone."""
    starts = {
        (bracket["number"], rung["index"]): (rung["initial_epoch"], rung["epochs"])
        for bracket in view.content["plan"]
        for rung in bracket["rungs"]
    }
    return Counter(starts[t.bracket, t.rung] for t in view.trials.values() if t.status == "completed")


def nine(hp: Any) -> None:
    hp.Choice("n", [1, 2, 3])
    hp.Choice("width", [4, 6, 8])


def wide(hp: Any) -> None:
    hp.Float("x", 0.0, 1.0)


def test_where_nothing_fails_both_run_the_same_rungs(make_search):
    theirs = sizes(search(oracle_of(wide, seed=1)))
    view = make_search(make_space(27, "[recipe]\nlearning_rate = { min = 0.1, max = 0.2 }")).drive(KnownWorkers(2))
    assert sizes_here(view) == theirs
    assert sum(theirs.values()) == 70


@fault(
    "schedule",
    "The space is smaller than the plan: 9 points, 27 epochs",
    keras_tuner="stops in its first rung, on trials of one epoch; no halving, nothing trained to the end",
    here="the first rung is the space, halving continues; later brackets take over what was trained",
)
def test_a_small_space(make_search):
    theirs = sizes(search(oracle_of(nine, seed=1)))
    assert set(theirs) == {(0, 1)}
    space = make_space(27, "[limits]\nmax_params = 6000")
    assert len(space.feasible().architectures) <= 9
    view = make_search(space).drive(KnownWorkers(2))
    assert rungs(view) == planned(view)
    assert sizes_here(view)[9, 27] > 0


@fault(
    "schedule",
    "A space of one architecture",
    keras_tuner="nothing is declared, so it trains nothing, and says nothing",
    here="trained to the end",
)
def test_a_space_of_one(make_search):
    assert search(oracle_of(lambda _: None, seed=1)) == []
    space = make_space(9, "[limits]\nmax_params = 5300")
    assert len(space.feasible().architectures) == 1
    view = make_search(space).drive(KnownWorkers(1))
    assert view.winner is not None
    assert view.winner.epochs == 9


@fault(
    "schedule",
    "One trial of a first rung fails",
    keras_tuner="is not replaced: 27/9/3/1 becomes 27/8/2, and nothing of that bracket is trained to the end",
    here="is replaced by a fresh draw: every rung has its planned size",
)
def test_a_failure_below(make_search):
    values = search(
        oracle_of(wide, seed=1, max_consecutive_failed_trials=None), lambda _, n: math.nan if n == 0 else None
    )
    assert sizes(values)[9, 27] < 1 + 2 + 2, "of brackets 3, 2 and 1"
    view = make_search(make_space(27)).drive(
        KnownWorkers(1, lambda job, _: "failed" if job.trial == "0000" else "done")
    )
    assert sizes_here(view)[9, 27] == 1 + 2 + 2


@fault(
    "schedule",
    "A promoted trial fails",
    keras_tuner="is not replaced: the rungs above it are smaller or empty",
    here="the next best of the rung below takes its place",
)
def test_a_failure_above(make_search):
    def fails(trial: Any, _: int) -> float | None:
        values = trial.hyperparameters.values
        first = values["tuner/epochs"] == 27 and values["tuner/initial_epoch"] == 9 and not failed
        if first:
            failed.append(trial)
        return math.nan if first else None

    failed: list[Any] = []
    oracle = oracle_of(wide, seed=1, max_consecutive_failed_trials=None)
    search(oracle, fails)
    complete = [
        t for t in oracle.trials.values()
        if t.status == "COMPLETED" and t.hyperparameters.values["tuner/initial_epoch"] == 9
    ]  # fmt: skip
    assert len(complete) < 1 + 2 + 2
    lost: list[str] = []

    def outcome(job, _):
        if (job.initial_epoch, job.epochs) == (9, 27) and not lost:
            lost.append(job.trial)
        return "failed" if job.trial in lost else "done"

    view = make_search(make_space(27)).drive(KnownWorkers(1, outcome))
    assert lost
    assert sizes_here(view)[9, 27] == 1 + 2 + 2


@fault(
    "schedule",
    "Three trials in a row fail",
    keras_tuner="the search ends with an error",
    here="they are replaced; ten in a row end it, with the reason, and `resume` continues with other candidates",
)
def test_three_failures_in_a_row(make_search):
    with pytest.raises(RuntimeError, match="consecutive failures"):
        search(oracle_of(wide, seed=1), lambda _, n: math.nan if n < 3 else None)
    view = make_search().drive(KnownWorkers(1, lambda job, _: "failed" if int(job.trial) < 3 else "done"))
    assert rungs(view) == planned(view)


@fault(
    "schedule",
    "The seed is 0",
    keras_tuner="means no seed: every search draws others",
    here="a seed like any other",
)
def test_seed_zero(make_search):
    draws = {str(search(oracle_of(wide, seed=0, max_epochs=3))) for _ in range(5)}
    assert len(draws) > 1
    views = [make_search(seed=0, number=number).drive(KnownWorkers(1)) for number in range(2)]
    assert [t.name for t in views[0].trials.values()] == [t.name for t in views[1].trials.values()]


@fault(
    "schedule",
    "Several trials train at once",
    keras_tuner="promotions are labelled with the bracket that was opened last",
    here="each trial names its own bracket, and trials and winner are the same for any number of workers",
)
def test_brackets_of_parallel_trials(make_search):
    oracle = oracle_of(wide, seed=1)
    running: list[Any] = []
    wrong = 0
    while True:
        trial = oracle.create_trial(f"worker{len(running)}" if len(running) < 4 else "none")
        if trial.status == "RUNNING":
            running.append(trial)
            values = trial.hyperparameters.values
            wrong += oracle._get_epochs(values["tuner/bracket"], values["tuner/round"]) != values["tuner/epochs"]
        elif not running:
            break
        if len(running) == 4 or trial.status != "RUNNING":
            ended = running.pop(0)
            # Names of slots move up: the one that ended is the first.
            oracle.update_trial(ended.trial_id, {"score": int(ended.trial_id) / 1000})
            ended.status = "COMPLETED"
            oracle.end_trial(ended)
            oracle.ongoing_trials = {f"worker{n}": t for n, t in enumerate(running)}
    assert wrong
    view = make_search(make_space(27)).drive(KnownWorkers(4))
    plan = {(b["number"], r["index"]): r["epochs"] for b in view.content["plan"] for r in b["rungs"]}
    assert all(plan[t.bracket, t.rung] == t.epochs for t in view.trials.values())


@fault(
    "schedule",
    "A trial of one epoch has the highest score",
    keras_tuner="is the best: scores of all rungs are compared",
    here="only trials of the full budget are ranked",
)
def test_the_best(make_search):
    oracle = oracle_of(wide, seed=1)
    search(oracle, lambda _, n: 0.99 if n == 0 else None if n < 60 else 0.5)
    assert oracle.get_best_trials()[0].hyperparameters.values["tuner/epochs"] == 1
    view = make_search(make_space(27)).drive(KnownWorkers(1))
    assert {t.epochs for t in view.ranking()} == {27}


@fault(
    "crash",
    "A worker is lost",
    keras_tuner="its trial is running for ever, and the others wait for it for ever",
    here="gets a new process, and its trial continues from its last epoch",
)
def test_a_lost_worker(make_search):
    oracle = oracle_of(wide, seed=1, max_epochs=3)
    lost = oracle.create_trial("lost")
    values = search(oracle)
    assert oracle.create_trial("worker").status == "IDLE"
    assert lost.status == "RUNNING"
    assert sizes(values)[1, 3] == 0
    view = make_search().drive(KnownWorkers(2, lambda job, times: "lost" if times == 1 else "done"))
    assert rungs(view) == planned(view)


@fault(
    "training",
    "The validation loss becomes NaN after the first epoch of a rung",
    keras_tuner="is ignored: the epoch before is the score, and the trial is promoted",
    here="the trial fails at that epoch, with its learning rate in the reason, and is replaced",
)
def test_nan(make_search):
    oracle = oracle_of(wide, seed=1, max_epochs=9)
    trial = oracle.create_trial("worker")
    for step, score in enumerate([0.5, math.nan]):
        oracle.update_trial(trial.trial_id, {"score": score}, step=step)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle.trials[trial.trial_id].status == "COMPLETED"
    assert oracle.trials[trial.trial_id].score == 0.5
    view = make_search().drive(KnownWorkers(1, lambda job, _: "failed" if job.trial == "0000" else "done"))
    assert view.trials["0000"].status == "failed"
    assert rungs(view) == planned(view)
