"""What a search takes over from earlier runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest

from resnet_search.runs.trials import read_run
from resnet_search.search.budget import Budget
from resnet_search.search.earlier import MOST, recorded, scores
from resnet_search.search.resume import ResumeSettings
from resnet_search.search.steering import ENQUEUE, write_request
from resnet_search.training.job import HISTORY, STATE, WEIGHTS

from .conftest import KnownWorkers, make_space


class Writing(KnownWorkers):
    """Workers whose trials leave weights and a state."""

    def _train(self, slot, job):
        messages = super()._train(slot, job)
        for name in (WEIGHTS, STATE):
            with h5py.File(Path(job.folder) / name, "w") as file:
                file.attrs["epoch"] = job.epochs
        return messages


def after(make_search, *views, space=None, number=1, **changes):
    """A new search after earlier ones."""
    search = make_search(space, number=number, seed=changes.pop("seed", 0))
    path = search.folder.path / "run.json"
    content = json.loads(path.read_text())
    content |= changes
    content["earlier"] = recorded(views, content)
    path.write_text(json.dumps(content))
    return search


def results(view):
    return {(t.iteration, t.bracket, t.rung, t.name, t.epochs, t.status, t.score) for t in view.trials.values()}


@pytest.fixture
def first(make_search):
    return make_search().drive(Writing(1))


@pytest.mark.parametrize("slots", [1, 3])
def test_an_equal_search_trains_nothing(make_search, first, slots):
    workers = Writing(slots)
    view = after(make_search, first).drive(workers)
    assert workers.submitted == []
    assert results(view) == results(first)
    assert view.state == "finished"
    for trial in view.trials.values():
        assert trial.trained_epochs == 0
        if not trial.reused:
            assert trial.taken.startswith(f"run {first.folder.name}, ")
            folder = view.folder.trial(trial.trial)
            with h5py.File(folder / WEIGHTS) as file:
                assert file.attrs["epoch"] == trial.epochs
            assert [line["epoch"] for line in view.history(trial)][-1] == trial.epochs


def test_a_longer_search_trains_what_is_new(make_search, first):
    space = make_space().with_settings(iterations=2)
    workers = Writing(2)
    view = after(make_search, first, space=space).drive(workers)
    assert results(first) <= results(view)
    assert results(view) == results(make_search(space, number=2).drive(Writing(2)))
    taken = [trial for trial in view.trials.values() if trial.taken]
    assert len(taken) + len(workers.submitted) + sum(t.reused for t in view.trials.values()) == len(view.trials)
    assert {trial.iteration for trial in taken} >= {0}
    assert workers.submitted


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"recipe": {"name": "search", "momentum": 0.5}},
        {"horizon": 27},
        {"versions": {"python": "3.12"}},
        {"backend": "jax"},
    ],
)
def test_what_was_trained_otherwise_is_trained(make_search, first, changes):
    workers = Writing(1)
    view = after(make_search, first, **changes).drive(workers)
    assert not any(trial.taken for trial in view.trials.values())
    assert workers.submitted


@pytest.mark.parametrize("name", [WEIGHTS, HISTORY])
@pytest.mark.parametrize("damage", ["gone", "empty", "link"])
def test_what_is_gone_or_damaged_is_trained(make_search, first, tmp_path, name, damage):
    path = first.folder.trial("0003") / name
    content = path.read_bytes()
    path.unlink()
    if damage == "empty":
        path.touch()
    elif damage == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    workers = Writing(1)
    view = after(make_search, first).drive(workers)
    assert {job.trial for job in workers.submitted} >= {"0003"}
    assert results(view) == results(first)


def test_a_run_that_is_gone_is_trained_again(make_search, first):
    second = after(make_search, first)
    shutil.rmtree(first.folder.path)
    workers = Writing(1)
    view = second.drive(workers)
    assert results(view) == results(first)
    assert len(workers.submitted) == sum(not trial.reused for trial in view.trials.values())


@pytest.mark.parametrize("slots", [1, 4])
def test_the_sampler_knows_earlier_scores(make_search, slots):
    space = make_space().with_settings(sampler="model")
    first = make_search(make_space(), seed=5).drive(Writing(1))
    plain = make_search(space, number=1).drive(Writing(slots))
    informed = after(make_search, first, space=space, number=2)
    again = after(make_search, first, space=space, number=3).drive(Writing(1))
    with pytest.raises(KeyboardInterrupt):
        informed.drive(Writing(slots, stop_after=5))
    shutil.rmtree(first.folder.path)  # Its scores are recorded.
    view = informed.drive(Writing(slots))
    assert results(view) != results(plain)
    assert results(view) == results(again)


def test_scores_are_compared_on_the_same_images_only(make_search, first):
    content = {**first.content, "data": {**first.content["data"], "arrays": "others"}}
    entries = recorded([first, first], content)
    assert [entry["alike"] for entry in entries] == [False, False]
    assert {group for group, *_ in scores({"earlier": entries})} == {1, 2}
    assert {group for group, *_ in scores({"earlier": recorded([first], first.content)})} == {0}
    assert sum(len(entry["scores"]) for entry in recorded([first] * 60, first.content)) == MOST


def test_a_run_reads_what_it_recorded(make_search, first):
    search = after(make_search, first)
    assert read_run(search.folder).content["earlier"] == recorded([first], first.content)


def test_a_second_run_helps_out(make_search, first):
    whole = make_search(number=5).drive(Writing(1))
    shutil.rmtree(first.folder.trial("0000"))
    workers = Writing(1)
    view = after(make_search, first, whole).drive(workers)
    assert workers.submitted == []
    assert view.trials["0000"].taken.startswith("run run5")


def test_a_learning_curve_has_no_gap(make_search, first):
    """The earlier run has trained a candidate in several trials, and this one trains it at once."""
    promoted = next(t for t in first.trials.values() if t.epochs == 9 and t.promoted_from and not t.reused)
    search = after(make_search, first)
    write_request(search.folder, ENQUEUE, network="mine", architecture=promoted.architecture)
    view = search.drive(Writing(1))
    given = next(trial for trial in view.trials.values() if view.is_baseline(trial))
    assert given.taken
    assert [line["epoch"] for line in view.history(given)] == list(range(1, 10))


def test_the_length_of_the_schedule_is_that_of_the_time_of_training(make_search):
    """After an extension, the trials before it have been trained with a shorter schedule."""
    first = make_search()
    first.drive(Writing(1))
    longer = first.drive(Writing(1), settings=ResumeSettings(add_epochs=18))
    assert longer.content["horizon"] == 27
    view = after(make_search, longer, space=make_space(27)).drive(Writing(1))
    assert not any(trial.taken for trial in view.trials.values())
    view = after(make_search, longer, number=2).drive(Writing(1))
    assert sum(bool(trial.taken) for trial in view.trials.values()) > 10


def test_a_search_with_a_final_training_gives_its_search(make_search):
    space = make_space().with_settings(final_epochs=12)
    search = make_search(space)
    path = search.folder.path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "horizon": 12, "constant_until": 12}))
    first = search.drive(Writing(1))
    workers = Writing(1)
    after(make_search, first, space=space, horizon=12, constant_until=12).drive(workers, budget=Budget(seconds=10**6))
    assert all(job.constant_until < 12 for job in workers.submitted), "only the final training"
