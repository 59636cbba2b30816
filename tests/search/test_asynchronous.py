"""Whole searches with asynchronous promotion; its rules, step by step, are in test_schedule.

What holds whatever happens and in whatever order:
1. every rung is as large as planned or larger, and none is larger than the bracket's draws;
2. planned draws are those of a synchronous search; replacements and resumed searches are as there;
3. nothing is trained twice.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import strategies as st

from resnet_search.search.resume import ResumeSettings
from resnet_search.spaces.plan import brackets_from, make_plan
from tests.properties import holds_for

from .conftest import KnownWorkers, make_space, new_search
from .test_properties import Read, World, check_nothing_in_vain, check_planned, run, searches, space_of, timings


def asynchronous(search):
    return space_of(**search).with_settings(promotion="async")


@holds_for(
    30,
    slow=50,
    shrink=False,
    search=searches,
    failing=st.sampled_from([0.0, 0.1, 0.3]),
    timing=timings,
    seed=st.integers(0, 10**6),
)
def test_the_plan_is_kept_or_exceeded_whatever_happens(search, failing, timing, seed):
    space, world = asynchronous(search), World(failing, seed)
    view = run(space, seed, world, timing)
    brackets = brackets_from(view.content["plan"])
    read = Read(view)
    assert view.state == "finished"
    assert not [trial for trial in view.trials.values() if trial.status == "running"]
    check_planned(read, space_of(**search), brackets)
    check_nothing_in_vain(read)
    few = len(space.feasible().architectures)
    for bracket in brackets:
        for rung in bracket.rungs:
            trials = read.trials[bracket.iteration, bracket.number, rung.index]
            done = sum(trial.status == "completed" for trial in trials)
            assert done <= bracket.draws
            if not failing or (few >= 4 * bracket.draws and failing < 0.2 and rung.index == 0):
                assert done >= rung.size
    assert view.planned_trials >= view.completed
    if not failing:
        assert view.planned_trials == view.completed
        assert view.planned_epochs <= make_plan(space).most_epochs


def in_order(view):
    return [(t.trial, t.name, t.rung, t.slot, t.promoted_from, t.parent, t.score) for t in view.trials.values()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that ran through, on one worker."""
    space = make_space().with_settings(promotion="async")
    return new_search(tmp_path_factory.mktemp("whole"), space).drive(KnownWorkers(1))


@pytest.mark.parametrize("stop_after", [0, 1, 2, 7, 20, 45, 70])
def test_where_the_order_is_the_same_a_killed_search_ends_the_same_to_the_last_trial(make_search, whole, stop_after):
    search = make_search(make_space().with_settings(promotion="async"))
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=stop_after))
    assert in_order(search.drive(KnownWorkers(1))) == in_order(whole)


def test_the_same_order_of_ends_gives_the_same_search(make_search):
    space = make_space(max_epochs=27).with_settings(promotion="async")
    views = [make_search(space, number=n).drive(KnownWorkers(8, choose=random.Random(5).choice)) for n in range(2)]
    assert in_order(views[0]) == in_order(views[1])
    rungs = Counter((t.bracket, t.rung) for t in views[0].trials.values())
    planned = {(b.number, r.index): r.size for b in make_plan(space).brackets for r in b.rungs}
    assert all(rungs[place] >= size for place, size in planned.items())
    assert rungs.total() > sum(planned.values()), "else this has shown nothing"
    assert views[0].planned_trials == rungs.total()


def test_an_extension_knows_its_scores_and_waits_for_nobody(make_search):
    search = make_search(make_space().with_settings(promotion="async"))
    first = search.drive(KnownWorkers(4))
    view = search.drive(KnownWorkers(4), settings=ResumeSettings(add_epochs=6))
    kept = -(-len(first.ranking()) // 3)
    longer = [trial for trial in view.trials.values() if trial.epochs == 15]
    assert {trial.candidate for trial in longer} == {trial.candidate for trial in first.ranking()[:kept]}


def test_iterations_that_are_added_are_asynchronous_too(make_search):
    space = make_space().with_settings(promotion="async")
    search = make_search(space, number=1)
    search.drive(KnownWorkers(1))
    view = search.drive(KnownWorkers(1), settings=ResumeSettings(add_iterations=1))
    whole = make_search(space.with_settings(iterations=2), number=2).drive(KnownWorkers(1))
    assert in_order(view) == in_order(whole)
