"""The model of accuracies: what it makes of features, and which networks it finds promising."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.search.model import Observation, expected_improvement, features_of

NETWORKS = [
    {"macs": macs, "layers": layers, "block": block}
    for macs in (1e6, 2e6, 4e6, 8e6)
    for layers in (8, 14, 20)
    for block in ("basic", "resnext")
]
FEATURES = features_of(NETWORKS)


def accuracy(network: dict, epochs: float) -> float:
    """Deeper and larger is better, and a block is."""
    skill = math.log2(network["macs"]) + network["layers"] / 4 + 2 * (network["block"] == "basic")
    return 0.01 * skill + 0.1 * math.log1p(epochs)


def seen(count: int, seed: int = 0) -> list[Observation]:
    chance = random.Random(seed)
    rows = chance.sample(range(len(NETWORKS)), count)
    return [
        Observation(row, epochs, accuracy(NETWORKS[row], epochs))
        for row in rows
        for epochs in chance.choice([(1,), (1, 3)])
    ]


def test_features_have_mean_zero_and_deviation_one():
    assert FEATURES.shape == (24, 3)
    assert FEATURES.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert FEATURES.std(axis=0) == pytest.approx(np.ones(3))


def test_values_that_do_not_differ_are_no_features_and_others_may_be_missing():
    assert features_of([{"macs": 1, "stem": "cifar"}, {"macs": 2, "stem": "cifar"}]).shape == (2, 1)
    mixed = [{"macs": 1, "cardinality": 4}, {"macs": 2, "cardinality": None}, {"macs": 4, "multiples": [1, 2]}]
    assert np.isfinite(features_of(mixed)).all()
    assert features_of([{"macs": 5}, {"macs": 5}]).shape == (2, 1)


def test_with_few_results_the_best_of_the_others_look_promising():
    truth = np.array([accuracy(network, 9) for network in NETWORKS])
    for seed in range(5):
        known = seen(9, seed)
        promises = expected_improvement(FEATURES, known, 9)
        rows = {one.network for one in known}
        others = [row for row in range(len(NETWORKS)) if row not in rows]
        first = max(others, key=lambda row: promises[row])
        assert truth[first] >= np.quantile(truth[others], 0.7)


def test_of_two_unknown_networks_the_one_among_better_ones_promises_more():
    best, poor = 22, 1
    known = [Observation(row, 9, accuracy(NETWORKS[row], 9)) for row in range(24) if row not in {best, poor}]
    promises = expected_improvement(FEATURES, known, 9)
    assert promises[best] > 10 * promises[poor]


@given(st.integers(4, 12), st.integers(0, 20), st.floats(-1, 1), st.floats(1, 10))
def test_it_looks_only_at_differences_after_equally_many_epochs(count, seed, shift, scale):
    known = seen(count, seed)
    moved = [Observation(one.network, one.epochs, one.score * scale + shift * one.epochs) for one in known]
    one, other = (expected_improvement(FEATURES, each, 9) for each in (known, moved))
    assert one == pytest.approx(other, abs=0.05)
    assert (one >= 0).all()


def test_equal_results_again_and_again_are_no_numerical_problem():
    known = [Observation(3, 1, 0.1)] * 600
    assert np.isfinite(expected_improvement(FEATURES, known, 1)).all()
