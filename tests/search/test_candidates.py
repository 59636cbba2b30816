"""Which architecture a draw means: of a listed space, of one too large to list, and of a grid."""

from __future__ import annotations

from collections import Counter

import pytest

from resnet_search.networks.complexity import complexity
from resnet_search.search.candidates import Candidates, Numbered
from resnet_search.search.schedule import Draw
from resnet_search.spaces import feasible
from resnet_search.spaces.brackets import hyperband
from resnet_search.spaces.load import load_space, parse_space
from resnet_search.spaces.plan import make_plan

from .conftest import KnownWorkers, make_space

LARGE = """
[axes]
n = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
width = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
block = ["basic", "resnext", "preact_basic"]
cardinality = [1, 2, 4]
base_width = [1, 2, 3, 4, 6, 8]
shortcut = ["identity", "projection", "avgpool"]
stem = ["cifar", "deep"]
attention = ["none", "se"]
attention_ratio = [2, 4, 8, 16]
activation = ["relu", "elu", "silu"]
stochastic_depth = [0, 0.1, 0.2]
[limits]
max_params = 60_000
[hyperband]
max_epochs = 9
iterations = 2
"""


def planned(space, seed=0):
    """The architectures of all planned draws, by iteration."""
    plan = make_plan(space)
    draws = Candidates(space, plan.feasible, plan.brackets, seed)
    found = {}
    for bracket in plan.brackets:
        for slot in range(bracket.draws):
            candidate = draws.draw(Draw(bracket, slot, 0), set(), set())
            found.setdefault(bracket.iteration, []).append(candidate.architecture)
    return found


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("quickstart", ["basic8-w4-identity", "resnext11-w4-c2-identity", "resnext20-w4-c4", "resnext11-w6-c4"]),
        ("cifar_small", ["resnext20-w10-c2", "bottleneck29-w10", "basic20-w16-identity", "resnext20-w8-c2-identity"]),
        ("cifar_full", ["resnext11-w32-c16", "bottleneck20-w24", "resnext11-w48-c8", "bottleneck56-w16"]),
    ],
)
def test_draws_of_a_listed_space_are_the_ones_that_the_first_version_made(name, first):
    """So that a run that began with it goes on with this one."""
    assert [architecture.name for architecture in planned(load_space(name))[0]][:4] == first


def test_a_large_space_is_drawn_from_without_repetition():
    space = parse_space(LARGE, "large")
    assert not space.feasible().exact
    found = planned(space)
    for architectures in found.values():
        assert len(architectures) == len(set(architectures)) == 17
        assert all(complexity(a).trainable <= 60_000 for a in architectures)
        assert len({a.block for a in architectures}) > 1
    assert found[0] != found[1]
    assert found == planned(space)
    assert found != planned(space, seed=1)


def test_a_replacement_in_a_large_space_is_new_whatever_was_drawn_before():
    space = parse_space(LARGE, "large")
    plan = make_plan(space)
    draws = Candidates(space, plan.feasible, plan.brackets, 0)
    bracket = plan.brackets[0]
    first = set(planned(space)[0])
    drawn = set(first)
    for slot in range(bracket.draws):
        candidate = draws.draw(Draw(bracket, slot, 1), drawn, drawn)
        assert candidate == draws.draw(Draw(bracket, slot, 1), first, first), "whatever came before"
        assert candidate.architecture not in drawn
        drawn.add(candidate.architecture)


def test_an_iteration_that_finds_too_few_goes_through_them_again(monkeypatch):
    monkeypatch.setattr(feasible, "CAP", 10)
    monkeypatch.setattr(feasible, "SAMPLE", 25)
    feasible.find_feasible.cache_clear()
    space = make_space(extra="[limits]\nmax_params = 20_000")
    some = space.feasible()
    assert not some.exact
    draws = Candidates(space, some, hyperband(9, 3, 1), 0)
    bracket = hyperband(9, 3, 1)[0]
    architectures = [draws.draw(Draw(bracket, slot, 0), set(), set()).architecture for slot in range(9)]
    assert set(Counter(architectures).values()) <= {1, 2}
    assert len(set(architectures)) == some.counted().count
    feasible.find_feasible.cache_clear()


def grid(max_epochs=3):
    text = make_space(max_epochs).text
    return parse_space('method = "grid"\n' + text, "grid")


@pytest.mark.parametrize("workers", [1, 3])
def test_a_grid_trains_every_architecture_once_in_order(make_search, workers):
    space = grid()
    view = make_search(space).drive(KnownWorkers(workers))
    assert [trial.name for trial in view.trials.values()] == [a.name for a in space.feasible().architectures]
    assert all((trial.initial_epoch, trial.epochs, trial.rung) == (0, 3, 0) for trial in view.trials.values())
    assert view.state == "finished"
    ranking = view.ranking()
    assert len(ranking) == view.planned_trials == space.feasible().count
    assert [trial.score for trial in ranking] == sorted((trial.score for trial in ranking), reverse=True)


def test_a_failed_network_of_a_grid_is_not_replaced(make_search):
    space = grid()
    view = make_search(space).drive(KnownWorkers(2, lambda job, _: "failed" if job.seed % 5 == 0 else "done"))
    failed = [trial for trial in view.trials.values() if trial.status == "failed"]
    assert failed
    assert view.state == "finished"
    assert [trial.name for trial in view.trials.values()] == [a.name for a in space.feasible().architectures]
    assert len(view.ranking()) == view.planned_trials - len(failed)


def test_candidates_have_the_numbers_in_which_they_are_met_and_a_repaired_run_has_gaps():
    space = make_space()
    draws = Candidates(space, space.feasible(), hyperband(9, 3, 1), 0)
    bracket = hyperband(9, 3, 1)[0]
    first, second, third = (draws.draw(Draw(bracket, slot, 0), set(), set()) for slot in range(3))
    numbered = Numbered()
    assert [numbered.number(one) for one in (first, second, first)] == [0, 1, 0]
    numbered.add(7, third)
    assert (numbered.number(third), numbered[7]) == (7, third)
    other = draws.draw(Draw(bracket, 4, 0), set(), set())
    assert numbered.number(other) == 8


def test_what_is_planned_is_what_is_drawn_before_anything_has_failed():
    space = make_space()
    draws = Candidates(space, space.feasible(), hyperband(9, 3, 2), 0)
    for bracket in hyperband(9, 3, 2):
        for slot in range(bracket.draws):
            draw = Draw(bracket, slot, 0)
            assert draws.planned(draw) == draws.draw(draw, set(), set()).architecture
