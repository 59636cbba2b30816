"""Which architecture a draw means: of a listed space, of one too large to list, and of a grid."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from resnet_search.networks.complexity import complexity
from resnet_search.networks.presets import PRESETS
from resnet_search.search.candidates import Candidate, Candidates, Numbered
from resnet_search.search.schedule import Draw
from resnet_search.spaces import feasible
from resnet_search.spaces.brackets import hyperband
from resnet_search.spaces.load import load_space, parse_space
from resnet_search.spaces.plan import make_plan

from .conftest import KnownWorkers, make_space

RESNET_20 = PRESETS["resnet-20"].architecture


def test_the_key_of_a_candidate_is_its_network_its_recipe_and_which_training_it_is():
    assert Candidate(RESNET_20, ()).key == "basic20-w16-identity"
    recipe = (("learning_rate", 0.1), ("optimizer", "sgd"))
    assert Candidate(RESNET_20, recipe).key == "basic20-w16-identity;learning_rate=0.1;optimizer='sgd'"
    assert Candidate(RESNET_20, recipe, 2).key == "basic20-w16-identity;learning_rate=0.1;optimizer='sgd';repeat=2"


@pytest.mark.parametrize(
    ("candidate", "of_0", "of_1"),
    [
        (Candidate(RESNET_20, ()), 436799608, None),
        (Candidate(RESNET_20, (), 2), 1932904477, None),
        (Candidate(RESNET_20, (("learning_rate", 0.1),)), 1381020391, 1362460105),
    ],
)
def test_the_seed_of_a_candidate_is_the_one_that_earlier_versions_gave_it(candidate, of_0, of_1):
    """It follows from the run's seed, so that --seed changes weights, order and augmentation."""
    assert candidate.seed(0) == of_0
    assert of_1 is None or candidate.seed(1) == of_1


def test_seeds_are_of_31_bits():
    seeds = [Candidate(RESNET_20, ()).seed(seed) for seed in range(100)]
    assert len(set(seeds)) == 100
    assert 2**30 < max(seeds) < 2**31
    assert min(seeds) < 2**28


class Letters:
    """The feasible part of a space, whose architectures are letters."""

    def __init__(self, letters):
        self.architectures = tuple(letters)
        self.asked = []

    def order(self, key, least):
        self.asked.append((key, least))
        return list(self.architectures)


FIXED = parse_space('[axes]\nn = 1\nwidth = 8\nblock = "basic"', "fixed")
VARIED = parse_space(
    '[axes]\nn = 1\nwidth = 8\nblock = "basic"\n[recipe]\nweight_decay = [0.0, 0.001, 0.01]\n'
    "learning_rate = { min = 0.01, max = 0.4 }",
    "varied",
)
FIRST, SECOND = hyperband(3, 3, 1)  # Draw 3 and 2: of the letters a to h, abc and de; f, g and h are spare.


def letter(slot, replacement=0, *, bracket=FIRST, in_bracket="", in_iteration="", letters="abcdefgh"):
    """What a draw means in a space of some letters, of which some were drawn before."""
    draws = Candidates(FIXED, Letters(letters), (FIRST, SECOND), 0)
    candidate = draws.draw(Draw(bracket, slot, replacement), set(in_bracket), set(in_iteration))
    return None if candidate is None else candidate.architecture


def test_planned_draws_have_the_first_places_whatever_was_drawn_before():
    assert [letter(slot, in_bracket="abcdefgh", in_iteration="abcdefgh") for slot in range(3)] == ["a", "b", "c"]
    assert [letter(slot, bracket=SECOND, in_bracket="de") for slot in range(2)] == ["d", "e"]


def test_replacements_have_places_of_their_own_behind_the_planned_ones():
    assert [letter(slot, 1) for slot in range(3)] == ["f", "g", "h"]
    assert [letter(slot, 1, bracket=SECOND) for slot in range(2)] == ["f", "g"]
    letters = "abcdefghijklmnopqrst"  # 15 of them are spare: three replacements of five slots.
    assert [letter(0, replacement, letters=letters) for replacement in range(1, 5)] == ["f", "k", "p", "f"]
    assert [letter(1, replacement, bracket=SECOND, letters=letters) for replacement in range(1, 4)] == ["j", "o", "t"]


@pytest.mark.parametrize(
    ("in_iteration", "found"),
    [("", "g"), ("g", "h"), ("gh", "f"), ("f", "g"), ("fgh", None)],
)
def test_a_replacement_that_was_drawn_in_the_iteration_gives_way_to_the_next_spare_one(in_iteration, found):
    in_bracket = "abcdefgh" if found is None else ""
    assert letter(1, 1, in_iteration=in_iteration, in_bracket=in_bracket) == found


@pytest.mark.parametrize(
    ("bracket", "slot", "in_bracket", "found"),
    [
        (FIRST, 2, "", "d"),
        (FIRST, 0, "", "d"),
        (FIRST, 0, "d", "e"),
        (FIRST, 0, "defg", "h"),
        (SECOND, 1, "", "f"),
        (SECOND, 1, "fgh", "a"),
        (SECOND, 0, "abfgh", "c"),
        (SECOND, 1, "abcfgh", None),
        (FIRST, 1, "defgh", None),
    ],
)
def test_without_spare_ones_a_bracket_repeats_those_of_others_and_never_its_own(bracket, slot, in_bracket, found):
    """Not what it has drawn, nor what it has planned, whether its turn has come or not."""
    assert letter(slot, 1, bracket=bracket, in_bracket=in_bracket, in_iteration="fgh") == found


@pytest.mark.parametrize("letters", ["abc", "abcd", "abcde"])
def test_a_space_smaller_than_an_iteration_is_gone_through_again(letters):
    planned = [letter(slot, bracket=b, letters=letters) for b in (FIRST, SECOND) for slot in range(b.draws)]
    assert planned == [letters[place % len(letters)] for place in range(5)]
    assert letter(0, 1, letters=letters) == (letters[3] if len(letters) > 3 else None)


def test_each_iteration_has_an_order_of_its_own_with_as_many_places_for_replacements_as_for_planned_draws():
    some = Letters("abcdefghij")
    brackets = hyperband(3, 3, 2)
    draws = Candidates(FIXED, some, brackets, 7)
    for replacement in range(2):
        for bracket in brackets:
            draws.draw(Draw(bracket, 0, replacement), set(), set())
    assert some.asked == [("architectures;7;0", 10), ("architectures;7;1", 10)]


def test_a_recipe_follows_from_the_seed_and_everything_about_the_draw():
    def recipe(seed, iteration, bracket, slot, replacement):
        brackets = hyperband(3, 3, 2)
        draw = Draw(brackets[2 * iteration + bracket], slot, replacement)
        return Candidates(VARIED, Letters("abcdefgh"), brackets, seed).draw(draw, set(), set()).recipe

    recipes = [recipe(*place) for place in product(range(2), repeat=5)]
    assert len(set(recipes)) == 2**5
    assert recipe(0, 1, 0, 1, 0) == recipe(0, 1, 0, 1, 0)
    assert {tuple(name for name, _ in values) for values in recipes} == {("learning_rate", "weight_decay")}
    assert recipes[0] == (("learning_rate", 0.11909485347020422), ("weight_decay", 0.01)), "so that older runs go on"


def test_where_the_recipe_varies_an_architecture_may_come_again():
    draws = Candidates(VARIED, Letters("ab"), (FIRST, SECOND), 0)
    candidates = [
        draws.draw(Draw(FIRST, slot, replacement), set("ab"), set("ab"))
        for slot, replacement in product(range(3), range(3))
    ]
    assert {candidate.architecture for candidate in candidates} == {"a", "b"}
    assert len(set(candidates)) == 9


def test_where_the_recipe_varies_the_only_architecture_is_replaced_by_itself():
    draws = Candidates(VARIED, Letters("a"), (FIRST, SECOND), 0)
    first, second = (draws.draw(Draw(FIRST, 0, replacement), {"a"}, {"a"}) for replacement in (0, 1))
    assert (first.architecture, second.architecture) == ("a", "a")
    assert first.recipe != second.recipe


def test_where_it_does_not_vary_a_candidate_has_no_recipe_of_its_own():
    draws = Candidates(FIXED, Letters("abcdefgh"), (FIRST, SECOND), 0)
    assert draws.draw(Draw(FIRST, 1, 0), set(), set()) == Candidate("b", (), 0)


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


def test_a_large_space_is_drawn_from_without_repetition(low_cap):
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


def test_a_replacement_in_a_large_space_is_new_whatever_was_drawn_before(low_cap):
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


def test_an_iteration_that_finds_too_few_goes_through_them_again(low_cap, monkeypatch):
    monkeypatch.setattr(feasible, "CAP", 10)
    monkeypatch.setattr(feasible, "SAMPLE", 25)
    space = make_space(extra="[limits]\nmax_params = 20_000")
    some = space.feasible()
    assert not some.exact
    draws = Candidates(space, some, hyperband(9, 3, 1), 0)
    bracket = hyperband(9, 3, 1)[0]
    architectures = [draws.draw(Draw(bracket, slot, 0), set(), set()).architecture for slot in range(9)]
    assert set(Counter(architectures).values()) <= {1, 2}
    assert len(set(architectures)) == some.counted().count


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


A, B, C = (Candidate(letter, ()) for letter in "abc")


def test_candidates_have_the_numbers_in_which_they_are_met():
    numbered = Numbered()
    assert [numbered.known(A), numbered.number(A), numbered.known(A)] == [None, 0, 0]
    assert [numbered.number(candidate) for candidate in (B, A, C, B)] == [1, 0, 2, 1]
    assert [numbered[number] for number in range(3)] == [A, B, C]
    with pytest.raises(KeyError):
        numbered[3]


@pytest.mark.parametrize("numbers", [[(4, A), (1, B)], [(1, B), (4, A)]])
def test_a_repaired_run_may_have_gaps_and_numbers_in_any_order(numbers):
    numbered = Numbered()
    for number, candidate in numbers:
        numbered.add(number, candidate)
    assert (numbered[4], numbered[1], numbered.known(A), numbered.known(B)) == (A, B, 4, 1)
    assert [numbered.number(candidate) for candidate in (B, A, C)] == [1, 4, 5]
    assert numbered[5] == C


def test_a_repaired_run_may_have_a_candidate_twice_which_keeps_its_first_number():
    numbered = Numbered()
    for number in (0, 3):
        numbered.add(number, A)
    assert (numbered[0], numbered[3], numbered.known(A), numbered.number(A)) == (A, A, 0, 0)
    assert numbered.number(B) == 4


def test_what_is_planned_is_what_is_drawn_before_anything_has_failed():
    space = make_space()
    draws = Candidates(space, space.feasible(), hyperband(9, 3, 2), 0)
    for bracket in hyperband(9, 3, 2):
        for slot in range(bracket.draws):
            draw = Draw(bracket, slot, 0)
            assert draws.planned(draw) == draws.draw(draw, set(), set()).architecture
