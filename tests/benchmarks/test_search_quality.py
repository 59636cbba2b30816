"""The comparison of searches: what it counts as an epoch, what each search hands over, and how regret is summed up."""

from __future__ import annotations

import json
from importlib import import_module
from math import comb
from pathlib import Path

import numpy as np
import pytest

from resnet_search.errors import TrainingError
from resnet_search.networks.architecture import Architecture
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.training.job import Job
from resnet_search.workers.contract import Failed

record_curves = import_module("benchmarks.record_curves")
quality = import_module("benchmarks.search_quality")

ROOT = Path(__file__).resolve().parents[2]
SPACE = record_curves.SPACE.replace('method = "grid"', "")
# After one epoch they look like the best; trained longer they are the worst.
LIARS = ("basic8-w4", "basic8-w6", "basic8-w8", "basic8-w12")
LIAR = LIARS[0]
ONE_PASS = 75


def make_table(space_text: str = SPACE) -> quality.Table:
    """Curves that rise to an accuracy by the number of the architecture, save those of the liars."""
    space = parse_space(space_text, "curves")
    names = [architecture.name for architecture in space.feasible().architectures]
    curves = {
        name: [round((0.3 + number / 100) * epoch / 9, 6) for epoch in range(1, 10)]
        for number, name in enumerate(names)
    }
    return quality.Table(space, curves | {name: [0.95] + [0.01] * 8 for name in LIARS})


@pytest.fixture
def table():
    return make_table()


def test_regret_is_against_the_best_of_the_table(table):
    assert table.best == pytest.approx(0.3 + 47 / 100)
    assert min(table.regret(name) for name in table.curves) == 0
    assert table.regret(LIAR) == pytest.approx(table.best - 0.01)


def test_an_epoch_counts_once(table, tmp_path, monkeypatch):
    """What the course says was spent is what the worker was asked to train, and what the plan says."""
    workers = []

    class Kept(quality.TableWorker):
        def __init__(self, table):
            super().__init__(table)
            workers.append(self)

    monkeypatch.setattr(quality, "TableWorker", Kept)
    course = quality.ours(table, 0, 1, tmp_path)
    jobs = workers[0].submitted
    assert {(job.initial_epoch, job.epochs) for job in jobs} == {(0, 1), (1, 3), (3, 9), (0, 3), (0, 9)}
    assert course[-1][0] == sum(job.epochs - job.initial_epoch for job in jobs) == ONE_PASS
    assert make_plan(table.space).epochs == ONE_PASS
    assert [spent for spent, _ in course] == sorted(spent for spent, _ in course)


@pytest.mark.parametrize("name", quality.SEARCHES)
def test_the_same_seed_searches_the_same(table, name):
    first, again = (quality.play(table, name, 2, 1) for _ in range(2))
    assert first == again
    assert first[0] != first[1]
    assert all(spent <= ONE_PASS for course in first for spent, _ in course)
    assert {name for course in first for _, name in course} <= set(table.curves)


def test_a_one_epoch_trial_wins_with_keras_tuner_and_not_here(table):
    """Its best of all trials is whoever looked best once; ours is among those trained longest."""
    peers = quality.play(table, "Keras Tuner", 2, 1)
    assert any(course[-1][1] in LIARS for course in peers)
    assert all(course[-1][1] not in LIARS for course in quality.play(table, "resnet-search", 2, 1))


def test_keras_tuners_epochs_are_those_it_would_fit(table):
    assert {course[-1][0] for course in quality.play(table, "Keras Tuner", 2, 1)} == {ONE_PASS}


def test_a_network_that_fails_is_never_handed_over(table, tmp_path, monkeypatch):
    def fails(job: Job) -> bool:
        return Architecture.from_dict(job.architecture).block == "basic"

    class Failing(quality.TableWorker):
        def wait(self, seconds):
            message = super().wait(seconds)
            job = self.submitted[-1]
            return Failed(0, job.trial, "the loss was nan", "the loss was nan") if fails(job) else message

    monkeypatch.setattr(quality, "TableWorker", Failing)
    course = quality.ours(table, 3, 1, tmp_path)
    assert course[-1][0] == ONE_PASS  # Each that fails is replaced; what it trained is not counted.
    assert not [name for _, name in course if name.startswith("basic")]


def test_random_search_is_as_good_as_arithmetic_says(table):
    """The best of 8 without repetition: the mean over 100 seeds, within 4 standard errors of its expectation."""
    found = quality.regrets(table, quality.play(table, "random search", 100, 1), ONE_PASS)
    worst_first = sorted(table.curves, key=lambda name: -table.regret(name))
    draws, count = ONE_PASS // 9, len(worst_first)
    chances = [comb(place, draws - 1) / comb(count, draws) for place in range(count)]
    expected = sum(chance * table.regret(name) for chance, name in zip(chances, worst_first, strict=True))
    last = found[:, -1]
    assert abs(last.mean() - expected) < 4 * last.std() / 10
    assert np.isnan(found[:, 7]).all()  # Nothing is trained to the end in 8 epochs.


def test_regret_holds_from_the_end_of_a_trial_on(table):
    best, worst = max(table.curves, key=lambda name: table.curves[name][-1]), LIAR
    found = quality.regrets(table, [[(1, worst), (3, best)], [(2, best), (2, worst), (5, best)]], 5)
    high = table.regret(worst)
    np.testing.assert_allclose(found, [[high, high, 0, 0, 0], [np.nan, high, high, high, 0]])


def test_summary():
    found = np.array([[np.nan, 0.2, 0.0], [0.3, 0.4, 0.0], [0.3, 0.9, 0.3], [0.3, 0.5, 0.0]])
    summed = quality.summary(found)
    assert summed["mean"] == [None, 0.5, 0.075]
    assert summed["median"] == [None, 0.45, 0.0]
    assert summed["best_found"] == [None, 0.0, 0.75]
    assert summed["low"][0] is None
    assert 0.2 < summed["low"][1] < 0.5 < summed["high"][1] < 0.9
    assert summed == quality.summary(found)


def test_rank_correlation_of_each_rung(table):
    """The liars lead after one epoch and are last from then on; the others keep their order."""
    found = quality.rank_correlations(table)
    assert found[3] > found[1]
    assert found[9] == 1
    honest = quality.Table(table.space, {name: c for name, c in table.curves.items() if name not in LIARS})
    assert quality.rank_correlations(honest) == {1: 1, 3: 1, 9: 1}


def test_a_worker_takes_one_job_at_a_time(table, tmp_path):
    worker = quality.TableWorker(table)
    architecture = table.space.feasible().architectures[0].to_dict()
    job = Job(
        trial="0000", folder=str(tmp_path / "trial"), parent=None, architecture=architecture, recipe={}, seed=0,
        initial_epoch=1, epochs=3, horizon=9, data="",
    )  # fmt: skip
    worker.submit(0, job)
    with pytest.raises(RuntimeError):
        worker.submit(0, job)
    done = worker.wait(1.0)
    assert [line.epoch for line in done.history] == [2, 3]
    assert [line.val_accuracy for line in done.history] == table.curves[LIAR][1:3]
    assert worker.wait(1.0) is None


def test_a_recorded_table_is_what_the_run_says(table, tmp_path):
    """From a grid's run folder through the file to the table, curve by curve."""
    grid = quality.Table(parse_space(record_curves.SPACE, "curves"), table.curves)
    quality.ours(grid, 0, 1, tmp_path)
    path = tmp_path / "run" / "run.json"
    content = json.loads(path.read_text())
    content["data"] |= {"train": 100, "validation": 10}
    content["workers"] |= {"threads": 1, "precision": "float32"}
    content["versions"] = dict.fromkeys(("python", "resnet-search", "keras", "tensorflow"), "1")
    path.write_text(json.dumps(content))
    record_curves.write(record_curves.table_of(tmp_path / "run"), tmp_path / "curves.json")
    again = quality.Table.read(tmp_path / "curves.json")
    assert again.curves == table.curves
    assert again.space.to_dict()["axes"] == table.space.to_dict()["axes"]
    assert make_plan(again.space).epochs == ONE_PASS


def test_a_table_without_a_network_of_the_space_is_found_out(table, tmp_path):
    short = quality.Table(table.space, {name: curve for name, curve in table.curves.items() if "resnext" not in name})
    with pytest.raises((KeyError, TrainingError)):
        quality.ours(short, 0, 1, tmp_path)
