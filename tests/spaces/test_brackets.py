"""Hyperband's plan against Keras Tuner's and against the numbers that everyone can check by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.spaces.brackets import grid, hyperband


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


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_sizes_and_epochs_are_those_of_keras_tuner(factor):
    from keras_tuner.oracles import HyperbandOracle

    for max_epochs in range(1, 200):
        oracle = HyperbandOracle("val_loss", max_epochs=max_epochs, factor=factor)
        plan = hyperband(max_epochs, factor, 1)
        assert len(plan) == oracle._get_num_brackets()
        for bracket in plan:
            for rung in bracket.rungs:
                assert rung.size == oracle._get_size(bracket.number, rung.index)
                assert rung.epochs == oracle._get_epochs(bracket.number, rung.index)


@given(st.integers(1, 200), st.integers(2, 5), st.integers(1, 3), st.integers(1, 20))
def test_a_small_space_shrinks_first_rungs_and_halving_goes_on(max_epochs, factor, iterations, candidates):
    plan = hyperband(max_epochs, factor, iterations, candidates)
    for bracket in plan:
        assert bracket.draws <= candidates
        assert bracket.rungs[-1].epochs == max_epochs
        for below, above in zip(bracket.rungs, bracket.rungs[1:], strict=False):
            assert above.size == -(-below.size // factor)
            assert (above.initial_epoch, above.epochs > below.epochs) == (below.epochs, True)
    assert plan[0].offset == 0


def test_a_grid_is_one_rung_of_all():
    (bracket,) = grid(164, 8)
    assert [(rung.size, rung.initial_epoch, rung.epochs) for rung in bracket.rungs] == [(8, 0, 164)]
    assert (bracket.draws, bracket.trials, bracket.epochs) == (8, 8, 8 * 164)
