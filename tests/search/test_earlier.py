"""What a search takes over from earlier runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from resnet_search.files import write_text
from resnet_search.runs.trials import read_run
from resnet_search.search.earlier import MOST, recorded, scores
from resnet_search.training.job import HISTORY, STATE, WEIGHTS

from .conftest import KnownWorkers, make_space


class Writing(KnownWorkers):
    """Workers whose trials leave weights and a state."""

    def _train(self, slot, job):
        messages = super()._train(slot, job)
        for name in (WEIGHTS, STATE):
            write_text(Path(job.folder) / name, f"{name} of {job.architecture} after {job.epochs}")
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
            assert (folder / WEIGHTS).read_text().endswith(f"after {trial.epochs}")
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


@pytest.mark.parametrize("missing", [WEIGHTS, HISTORY])
def test_what_is_gone_is_trained(make_search, first, missing):
    (first.folder.trial("0003") / missing).unlink()
    workers = Writing(1)
    view = after(make_search, first).drive(workers)
    assert {job.trial for job in workers.submitted} >= {"0003"}
    assert results(view) == results(first)


def test_a_state_that_is_gone_is_missed_only_by_who_is_promoted(make_search, first):
    shutil.rmtree(first.folder.path)
    with pytest.raises(FileNotFoundError):
        first.folder.trial_folders()
    workers = Writing(1)
    view = after(make_search, first).drive(workers)
    assert results(view) == results(first)
    assert len(workers.submitted) == sum(not trial.reused for trial in view.trials.values())


@pytest.mark.parametrize("slots", [1, 4])
def test_the_sampler_knows_earlier_scores(make_search, slots):
    space = make_space().with_settings(sampler="model")
    first = make_search(make_space(), seed=5).drive(Writing(1))
    plain = make_search(space, number=1).drive(Writing(slots))
    informed = after(make_search, first, space=space, number=2)
    with pytest.raises(KeyboardInterrupt):
        informed.drive(Writing(slots, stop_after=5))
    shutil.rmtree(first.folder.path)  # Its scores are recorded.
    view = informed.drive(Writing(slots))
    assert results(view) != results(plain)
    again = after(make_search, first, space=space, number=3).drive(Writing(1))
    assert results(view) == results(again)


def test_scores_are_compared_on_the_same_images_only(make_search, first):
    content = {"data": {**first.content["data"], "arrays": "others"}}
    entries = recorded([first, first], content)
    assert [entry["alike"] for entry in entries] == [False, False]
    assert {group for group, *_ in scores({"earlier": entries})} == {1, 2}
    assert {group for group, *_ in scores({"earlier": recorded([first], first.content)})} == {0}
    assert sum(len(entry["scores"]) for entry in recorded([first] * 60, first.content)) == MOST


def test_a_run_reads_what_it_recorded(make_search, first):
    search = after(make_search, first)
    assert read_run(search.folder).content["earlier"] == recorded([first], first.content)
