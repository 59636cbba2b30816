"""The simulation: its clock, what it counts as busy, and that its search is the real one."""

from __future__ import annotations

import json
import math
import random
import sys
from importlib import import_module
from itertools import pairwise

import pytest

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.training.job import Job

simulate = import_module("benchmarks.simulate")
virtual = import_module("benchmarks.virtual")

SPACE = parse_space(
    """
    [axes]
    n = [1, 2, 3]
    width = [4, 8, 16]
    block = ["basic", "bottleneck"]
    [hyperband]
    max_epochs = 9
    [recipe]
    learning_rate = { min = 0.05, max = 0.2 }
    [data]
    source = "shapes"
    """,
    "small",
)
CURVES = virtual.Synthetic(SPACE)


def job(tmp_path, trial: str = "0000", n: int = 1, epochs: int = 3) -> Job:
    architecture = Architecture.from_axes(n=n, width=8, block="basic").to_dict()
    return Job(
        trial=trial, folder=str(tmp_path / trial), parent=None, architecture=architecture, recipe={}, seed=7,
        initial_epoch=1, epochs=epochs, horizon=9, data="",
    )  # fmt: skip


def test_the_clock_goes_from_end_to_end(tmp_path):
    pool = virtual.VirtualWorkers(2, CURVES)
    short, long = job(tmp_path, "0000"), job(tmp_path, "0001", n=3)
    pool.submit(0, long)
    pool.submit(1, short)
    done = pool.wait(0.5)
    assert (done.slot, done.trial) == (1, "0000")
    assert pool.now == pytest.approx(CURVES.seconds(short) + virtual.DRIVER_SECONDS)
    assert [line.val_accuracy for line in done.history] == CURVES.accuracy(short)
    assert [line.epoch for line in done.history] == [2, 3]
    assert pool.wait(0.5).trial == "0001"
    assert pool.now == pytest.approx(CURVES.seconds(long) + virtual.DRIVER_SECONDS)
    assert pool.busy == pytest.approx(CURVES.seconds(short) + CURVES.seconds(long))
    assert pool.wait(0.5) is None


def test_a_driver_that_cannot_keep_up_makes_the_clock_later(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual, "DRIVER_SECONDS", 1e6)
    pool = virtual.VirtualWorkers(2, CURVES)
    for slot in range(2):
        pool.submit(slot, job(tmp_path, f"{slot:04d}"))
    pool.wait(0.5)
    pool.wait(0.5)
    assert pool.now == pytest.approx(2e6, rel=0.01)


def test_a_synthetic_curve_is_the_same_however_it_is_trained(tmp_path):
    """In one trial or rung by rung, and as the model says: rising to its final value, larger networks the better."""
    whole = CURVES.accuracy(job(tmp_path, epochs=9))
    assert CURVES.accuracy(job(tmp_path, epochs=3)) == whole[:2]
    final = CURVES.final(job(tmp_path))
    assert whole[-1] == pytest.approx(final, abs=0.05)
    costs = sorted(cost.macs for cost in make_plan(SPACE).feasible.costs)
    small, large = (sum(CURVES.candidate(macs, seed)[0] for seed in range(300)) / 300 for macs in (costs[0], costs[-1]))
    assert small < large - 0.1
    alike = virtual.Synthetic(SPACE, size_matters=0.0)
    assert alike.candidate(costs[0], 3) == alike.candidate(costs[-1], 3)


def test_an_epoch_takes_as_long_as_it_has_multiply_adds(tmp_path):
    one, other = job(tmp_path, n=1), job(tmp_path, n=3)
    macs = [complexity(Architecture.from_dict(each.architecture)).macs for each in (one, other)]
    # The same seed, so the same speed.
    ratio = (CURVES.seconds(other) - virtual.SETUP_SECONDS) / (CURVES.seconds(one) - virtual.SETUP_SECONDS)
    assert ratio == pytest.approx(macs[1] / macs[0])


@pytest.mark.parametrize("workers", [1, 5, 100])
def test_the_search_is_the_real_one(workers):
    course = simulate.search(SPACE, CURVES, workers, seed=0)
    plan = make_plan(SPACE)
    assert (course.trials, course.epochs) == (plan.trials, plan.epochs)
    assert len(course.costs) == plan.trials
    assert 0 < course.utilisation <= 1
    assert course.utilisation > 0.99 or workers > 1
    assert all(a[0] < b[0] for a, b in pairwise(course.leaders))
    assert course.regret(0.0) == course.best
    assert course.regret(math.inf) == course.best - course.leaders[-1][1] >= 0


def test_more_workers_end_sooner_with_the_same_winner():
    one, many = (simulate.search(SPACE, CURVES, workers, seed=3) for workers in (1, 8))
    assert many.seconds < one.seconds / 2
    assert many.leaders[-1][1] == one.leaders[-1][1]
    assert many.best == one.best


def test_reached_is_for_good():
    course = simulate.Course(10.0, 1.0, 1, 1, [(1.0, 0.5), (2.0, 0.895), (3.0, 0.7), (4.0, 0.892), (5.0, 0.9)], 0.9, [])
    assert course.reached == 4.0
    assert course.regret(2.5) == pytest.approx(0.005)
    assert simulate.Course(10.0, 1.0, 1, 1, [(1.0, 0.5)], 0.9, []).reached == math.inf


def test_results_are_written_a_line_each(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(simulate, "load_space", lambda _: SPACE)
    for words, lines in ((["utilisation", "--trials", "40", "--workers", "2", "4"], 2),
                         (["promotion", "--plans", "1x8", "--seeds", "3"], 2)):  # fmt: skip
        out = tmp_path / f"{words[0]}.jsonl"
        monkeypatch.setattr(sys, "argv", ["simulate.py", *words, "--out", str(out)])
        simulate.main()
        assert len(out.read_text().splitlines()) == len(capsys.readouterr().out.splitlines()) == lines
    sync, rule = (json.loads(line) for line in out.read_text().splitlines())
    assert (sync["promotion"], rule["promotion"]) == ("sync", "async")
    assert sync["epochs"] == make_plan(SPACE).epochs <= rule["epochs"]
    assert all(mean == 0 for mean, _, _ in sync["less_than_sync"])
    assert len(sync["regret"]) == len(rule["less_than_sync"]) == simulate.POINTS


def test_a_recorded_table_is_searched_as_it_is(tmp_path):
    """What a trial takes and gives is what the table says."""
    names = [architecture.name for architecture in SPACE.feasible().architectures]
    chance = random.Random(0)
    rows = [{"name": name, "val_accuracy": [chance.random() for _ in range(9)], "seconds": [2.0] * 9} for name in names]
    text = SPACE.text.replace("[recipe]\n    learning_rate = { min = 0.05, max = 0.2 }", "")
    path = tmp_path / "curves.json"
    path.write_text(json.dumps({"space": text, "architectures": rows}))
    (sync, _) = simulate.promotion([(1, 1)], 2, path)
    seconds = 2.0 * sync["epochs"] + virtual.DRIVER_SECONDS * sync["trials"]
    assert sync["hours"] * 3600 == pytest.approx(seconds, rel=0.01)
    assert 0 <= sync["regret"][-1] < 1
