"""Draws by the model: the same for any number of workers and after any kill, and no network twice in a bracket."""

from __future__ import annotations

from collections import Counter

import pytest

from resnet_search.search import sampling
from resnet_search.search.sampling import LAG

from .conftest import KnownWorkers, make_space
from .test_loop import table

SPACE = make_space().with_settings(sampler="model", iterations=2)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_trials_are_the_same_for_any_number_of_workers(make_search, whole, workers):
    last = KnownWorkers(workers, choose=max)
    assert sorted(table(make_search(SPACE).drive(last))) == sorted(table(whole(SPACE)))


@pytest.mark.parametrize("stop_after", [1, 5, 20, 41, 80])
def test_a_search_that_is_killed_and_resumed_ends_the_same(make_search, whole, stop_after):
    search = make_search(SPACE)
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(3, stop_after=stop_after))
    assert sorted(table(search.drive(KnownWorkers(2)))) == sorted(table(whole(SPACE)))


def test_failed_draws_are_replaced(make_search):
    view = make_search(SPACE).drive(KnownWorkers(4, lambda job, _: "failed" if job.seed % 7 == 0 else "done"))
    assert {t.status for t in view.trials.values()} == {"completed", "failed"}
    planned = {(b["iteration"], b["number"], r["index"]): r["size"] for b in view.content["plan"] for r in b["rungs"]}
    done = Counter((t.iteration, t.bracket, t.rung) for t in view.trials.values() if t.status == "completed")
    assert done == planned


def test_no_network_is_drawn_twice_in_a_bracket(whole):
    view = whole(SPACE)
    drawn = Counter((t.iteration, t.bracket, t.name) for t in view.trials.values() if t.rung == 0)
    assert set(drawn.values()) == {1}


def test_the_first_draws_are_the_random_ones(whole):
    modelled, at_random = (
        {t.slot: t.name for t in whole(space).trials.values() if (t.iteration, t.bracket, t.rung) == (0, 2, 0)}
        for space in (SPACE, SPACE.with_settings(sampler="random"))
    )
    assert [modelled[slot] for slot in range(4)] == [at_random[slot] for slot in range(4)]
    assert modelled != at_random


def test_a_draw_waits_for_what_it_looks_at(make_search):
    """With nine workers, eight draws of the first rung start at once, and the ninth after the first has ended."""
    workers = KnownWorkers(9)
    search = make_search(SPACE)
    started: list[int] = []
    own = workers.wait

    def wait(seconds):
        started.append(len(workers.submitted))
        return own(seconds)

    workers.wait = wait
    search.drive(workers)
    assert started[0] == LAG


def test_a_space_smaller_than_a_bracket_is_drawn_from_again(make_search):
    space = make_space().with_settings(sampler="model", max_params=9_000)
    view = make_search(space).drive(KnownWorkers(2))
    assert view.state == "finished"
    assert len({t.candidate for t in view.trials.values()}) <= space.feasible().count


def test_of_a_large_space_the_first_networks_of_an_order_are_compared(make_search, monkeypatch):
    monkeypatch.setattr(sampling, "_LOOKED_AT", 12)
    view = make_search(SPACE).drive(KnownWorkers(2))
    assert view.state == "finished"
    assert len({t.name for t in view.trials.values() if t.iteration == 0 and t.replacement == 0}) <= 12
