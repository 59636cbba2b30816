"""The best so far against epochs."""

from __future__ import annotations

from collections.abc import Callable

from resnet_search.report.anytime import at, best_so_far
from resnet_search.runs.trials import RunView
from tests.report.conftest import Events, make_content, search_events


def test_it_climbs_with_the_epochs_of_all_trials(make_view: Callable[..., RunView]) -> None:
    curve = best_so_far(make_view(search_events()))
    # Trial 1 failed; trial 4 goes on from epoch 1 to 3.
    assert curve == [(1, 0.5), (2, 0.5), (3, 0.5), (5, 0.8), (8, 0.8), (11, 0.8)]


def test_what_is_reused_costs_nothing(make_view: Callable[..., RunView]) -> None:
    run = Events()
    run.create(0, 0, (0, 1, 0), (0, 1))
    run.complete(0, 0.5)
    run.create(1, 0, (0, 0, 0), (0, 1), parent="0000", reused=True)
    run.complete(1, 0.5)
    assert best_so_far(make_view(run)) == [(1, 0.5), (1, 0.5)]


def test_known_networks_are_left_out(make_view: Callable[..., RunView]) -> None:
    content = make_content()
    content["known"] = [{"iteration": 0, "bracket": 0, "presets": ["resnet-20"]}]
    assert best_so_far(make_view(search_events(), content))[-1] == (5, 0.8)


def test_its_value_at_some_epochs() -> None:
    curve = [(1, 0.5), (3, 0.6), (3, 0.7), (9, 0.8)]
    assert [at(curve, epochs) for epochs in (0, 1, 2, 3, 8, 9, 100)] == [None, 0.5, 0.5, 0.7, 0.7, 0.8, 0.8]
    assert at([], 5) is None
