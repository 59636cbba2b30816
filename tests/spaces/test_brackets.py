"""Hyperband's plan against Keras Tuner's and against the numbers that everyone can check by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.spaces.brackets import Bracket, Rung, grid, hyperband


def sizes_and_epochs(plan):
    return [[[rung.size, rung.epochs] for rung in bracket.rungs] for bracket in plan]


def test_the_plan_of_27_epochs():
    plan = [[(rung.size, rung.initial_epoch, rung.epochs) for rung in b.rungs] for b in hyperband(27, 3, 1)]
    assert plan == [
        [(27, 0, 1), (9, 1, 3), (3, 3, 9), (1, 9, 27)],
        [(12, 0, 3), (4, 3, 9), (2, 9, 27)],
        [(6, 0, 9), (2, 9, 27)],
        [(4, 0, 27)],
    ]


@pytest.mark.parametrize(("max_epochs", "trials", "candidates", "epochs"), [(27, 70, 49, 375), (81, 211, 143, 1767)])
def test_totals(max_epochs, trials, candidates, epochs):
    plan = hyperband(max_epochs, 3, 1)
    assert sum(b.trials for b in plan) == trials
    assert sum(b.draws for b in plan) == candidates
    assert sum(b.epochs for b in plan) == epochs


def test_iterations_brackets_and_rungs_are_numbered_and_each_iteration_counts_its_draws_anew():
    plan = hyperband(27, 3, 2)
    assert [(b.iteration, b.number, b.offset) for b in plan] == [
        (iteration, number, offset) for iteration in (0, 1) for number, offset in ((3, 0), (2, 27), (1, 39), (0, 45))
    ]
    assert [[rung.index for rung in bracket.rungs] for bracket in plan] == [[0, 1, 2, 3], [0, 1, 2], [0, 1], [0]] * 2


def test_a_small_space_shrinks_the_offsets_too():
    plan = hyperband(27, 3, 1, candidates=10)
    assert [(b.offset, b.draws) for b in plan] == [(0, 10), (10, 10), (20, 6), (26, 4)]
    assert sizes_and_epochs(plan)[0] == [[10, 1], [4, 3], [2, 9], [1, 27]]


def test_sizes_and_epochs_are_those_that_keras_tuner_gave(golden):
    rows = json.loads((golden / "keras_tuner_brackets.json").read_text())["rows"]
    assert [
        [max_epochs, factor, sizes_and_epochs(hyperband(max_epochs, factor, 1))] for max_epochs, factor, _ in rows
    ] == rows


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_sizes_and_epochs_are_those_of_keras_tuner(factor):
    from keras_tuner.oracles import HyperbandOracle

    for max_epochs, min_epochs in product(range(1, 200), (1, 2, 3, 10)):
        oracle = HyperbandOracle("val_loss", max_epochs=max_epochs, factor=factor)
        oracle.min_epochs = min(min_epochs, max_epochs)
        assert sizes_and_epochs(hyperband(max_epochs, factor, 1, min_epochs=oracle.min_epochs)) == [
            [[oracle._get_size(number, index), oracle._get_epochs(number, index)] for index in range(number + 1)]
            for number in reversed(range(oracle._get_num_brackets()))
        ]


@pytest.mark.parametrize(("min_epochs", "left_out"), [(1, 0), (2, 1), (3, 1), (4, 2), (9, 2), (10, 3), (27, 3)])
def test_a_minimum_leaves_out_the_brackets_that_start_with_shorter_trials(min_epochs, left_out):
    everything = hyperband(27, 3, 1)
    kept = hyperband(27, 3, 1, min_epochs=min_epochs)
    assert sizes_and_epochs(kept) == sizes_and_epochs(everything)[left_out:]
    assert kept[0].offset == 0


def test_rungs_may_end_inside_the_first_epoch():
    """Later ones end after whole epochs, as without a minimum below one."""
    shortest, *_, longest = hyperband(9, 3, 1, min_epochs=0.1)
    assert [(rung.size, rung.initial_epoch, rung.epochs) for rung in shortest.rungs] == [
        (49, 0, 0.11), (17, 0.11, 0.33), (6, 0.33, 1), (2, 1, 3), (1, 3, 9)
    ]  # fmt: skip
    assert hyperband(9, 3, 1, min_epochs=0.1)[2:] == tuple(
        replace(bracket, offset=bracket.offset + 49 + 21) for bracket in hyperband(9, 3, 1)
    )
    assert longest.rungs[0].epochs == 9
    assert (shortest.epochs, shortest.validations) == (23.15, 49 + 17 + 6 + 2 * 2 + 6)


@given(st.integers(1, 200), st.integers(2, 5), st.floats(0.01, 1))
def test_the_first_rung_is_as_short_as_the_minimum_allows(max_epochs, factor, min_epochs):
    first = hyperband(max_epochs, factor, 1, min_epochs=min_epochs)[0].rungs
    exact = max_epochs / factor ** (len(first) - 1)
    assert exact >= min_epochs > exact / factor
    assert first[0].epochs == pytest.approx(exact, abs=0.0051) or first[0].epochs == math.ceil(exact)


@given(st.integers(1, 200), st.integers(2, 5), st.integers(1, 3), st.integers(1, 20))
def test_a_small_space_shrinks_first_rungs_and_halving_goes_on(max_epochs, factor, iterations, candidates):
    plan = hyperband(max_epochs, factor, iterations, candidates)
    for bracket in plan:
        assert bracket.draws <= candidates
        assert bracket.rungs[-1].epochs == max_epochs
        for below, above in zip(bracket.rungs, bracket.rungs[1:], strict=False):
            assert above.size == -(-below.size // factor)
            assert (above.initial_epoch, above.epochs > below.epochs) == (below.epochs, True)


def test_a_grid_is_one_rung_of_all():
    plan = grid(164, 8)
    assert plan == (Bracket(iteration=0, number=0, offset=0, rungs=(Rung(0, 8, initial_epoch=0, epochs=164),)),)
    assert (plan[0].draws, plan[0].trials, plan[0].epochs) == (8, 8, 8 * 164)
