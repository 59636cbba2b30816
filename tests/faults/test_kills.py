"""kill -9 at every write and at random moments: `resume` ends in the trials of a run that nothing happened to."""

from __future__ import annotations

import itertools
import random
import shutil
from typing import Any

import pytest

from .conftest import Search, check_result, events
from .table import fault

MOMENTS = ("before", "mid", "after")


def kills(steps: list[str]) -> list[tuple[int, str]]:
    """Each step from 1, with the moments that it has: only what is written has a middle."""
    return [
        (at, moment)
        for at, step in enumerate(steps, 1)
        for moment in MOMENTS
        if moment != "mid" or step.startswith("_write")
    ]


def states(steps: list[str]) -> list[tuple[int, str]]:
    """The kills that leave different things on a disk: after a step is before the next, and a sync changes nothing."""
    different = [
        (at, moment) for at, moment in kills(steps) if moment != "after" and not steps[at - 1].startswith("_sync")
    ]
    return [*different, (len(steps), "after")]


def one_of_each(steps: list[str], points: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Of all kills at a file of the same name, in the same step and moment, one in the middle of the run."""
    by_name: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for at, moment in points:
        by_name.setdefault((steps[at - 1], moment), []).append((at, moment))
    return [same[len(same) // 2] for same in by_name.values()]


def kill_and_resume(search: Search, whole: Search, at: int, moment: str) -> None:
    answer = search.drive(at=at, moment=moment)
    assert answer["status"] == -9, answer
    search.finish()
    check_result(search, whole)
    again = search.trained() - whole.trained()
    assert whole.trained() - search.trained() == {}
    assert sum(again.values()) <= 1, "one epoch of the one trial in flight"
    shutil.rmtree(search.runs_dir)


@fault(
    "crash",
    "`kill -9` of the driver before, in the middle of or after any write",
    keras_tuner="what was being written cannot be read again, and what was between two files is lost",
    here="`resume` continues to the same trials; at most one epoch of each running trial is trained again",
)
def test_a_kill_at_each_kind_of_write(make_search: Any, whole: Any) -> None:
    steps = make_search("steps").steps()
    chosen = one_of_each(steps, states(steps))
    names = {step.split()[1] for step in steps}
    assert {"run.json", "lock", "events.jsonl", "history.jsonl", "state.h5", "checkpoint.weights.h5",
            "trial.json", "build_config.json", "oracle.json", "tuner0.json", "failure.txt"} <= names  # fmt: skip
    assert len(chosen) > 35
    for at, moment in chosen:
        kill_and_resume(make_search(f"{at}-{moment}"), whole(), at, moment)


@pytest.mark.slow
def test_a_kill_at_every_write(make_search: Any, whole: Any) -> None:
    steps = make_search("steps").steps()
    points = states(steps)
    assert len(points) >= 200
    for at, moment in points:
        kill_and_resume(make_search(f"{at}-{moment}"), whole(), at, moment)


@fault(
    "crash",
    "`kill -9` again and again, while resuming too",
    here="it ends in the same trials",
)
@pytest.mark.parametrize("times", [12, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_again_and_again(times: int, make_search: Any, whole: Any) -> None:
    search = make_search("again", max_epochs=9)
    chance = random.Random(0)
    killed = 0
    for _ in range(times):
        killed += search.drive(at=chance.randint(1, 150), moment=chance.choice(("before", "after")))["status"] == -9
    assert killed >= times // 4
    search.finish()
    check_result(search, whole(max_epochs=9))
    again = search.trained() - whole(max_epochs=9).trained()
    assert sum(again.values()) <= killed


def killed_at_random(make_search: Any, whole: Any, count: int, seed: int) -> None:
    """Driver, worker or both, with two workers in processes of their own."""
    settings = {"max_epochs": 9, "slots": 2, "forked": True}
    uninterrupted = whole(**settings)
    chance = random.Random(seed)
    longest = make_search("longest", **settings).drive()["seconds"]
    killed = 0
    for number in itertools.count():
        search = make_search(f"{seed}-{number}", **settings)
        whom = ("driver", "worker", "both")[number % 3]
        answer = search.drive(kill_after=chance.uniform(0, longest), whom=whom)
        killed += answer["status"] == -9 or whom == "worker"
        if answer["status"] == -9:
            search.finish()
        else:
            assert answer["status"] == 0, answer
        check_result(search, uninterrupted)
        again = search.trained() - uninterrupted.trained()
        assert set(again.values()) <= {1}
        assert len(again) <= search.slots
        shutil.rmtree(search.runs_dir)
        if killed == count:
            return


@fault(
    "crash",
    "`kill -9` of the driver, of a worker, or of both, at any moment",
    keras_tuner="the running trial starts again; in the first one, the whole search does",
    here="a worker is replaced and its trial continues; after the driver's end `resume` continues; at most one epoch "
    "of each running trial is trained again",
)
def test_kills_at_random_moments(make_search: Any, whole: Any) -> None:
    killed_at_random(make_search, whole, 3, seed=1)


@pytest.mark.slow
def test_many_kills_at_random_moments(make_search: Any, whole: Any) -> None:
    killed_at_random(make_search, whole, 60, seed=2)


@pytest.mark.parametrize("times", [3, pytest.param(8, marks=pytest.mark.slow)])
@pytest.mark.parametrize("settings", [{"add_iterations": 1}, {"add_epochs": 9}], ids=str)
def test_an_extension_that_is_killed(times: int, settings: dict[str, int], make_search: Any, whole: Any) -> None:
    uninterrupted = whole().copy(make_search("whole"))
    assert uninterrupted.drive(settings=settings)["status"] == 0
    chance = random.Random(0)
    for number in range(times):
        search = whole().copy(make_search(f"{number}"))
        answer = search.drive(settings=settings, at=chance.randint(1, 120), moment="before")
        assert answer["status"] == -9
        begun = any(event["event"] == "extended" for event in events(search))
        assert search.drive(settings={} if begun else settings)["status"] == 0
        check_result(search, uninterrupted)
