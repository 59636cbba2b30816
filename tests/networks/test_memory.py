from __future__ import annotations

import pytest

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.memory import HIGHEST, LOWEST, training_memory

MEASURED = [  # growth of the resident set in MiB at batch 128, beside the weights
    ({"block": "basic", "n": 3, "width": 16}, 266),
    ({"block": "basic", "n": 1, "width": 32}, 233),
    ({"block": "plain", "n": 3, "width": 16}, 264),
    ({"block": "bottleneck", "n": 3, "width": 16}, 823),
    ({"block": "resnext", "n": 2, "width": 16, "cardinality": 4}, 773),
    ({"block": "preact_basic", "n": 3, "width": 16}, 248),
    ({"block": "preact_bottleneck", "n": 3, "width": 16}, 691),
    ({"block": "wide", "n": 2, "width": 64}, 645),
    ({"block": "basic", "n": 3, "width": 16, "attention": "se"}, 316),
    ({"block": "highway", "n": 3, "width": 16}, 404),
]


@pytest.mark.parametrize(("axes", "measured"), MEASURED, ids=[str(axes["block"]) for axes, _ in MEASURED])
def test_the_stated_error_holds_for_what_was_measured(axes, measured):
    a = Architecture.from_axes(**axes)
    estimate = training_memory(a, batch=128) - training_memory(a, batch=0)
    assert LOWEST - 0.01 <= estimate / (measured * 2**20) - 1 <= HIGHEST + 0.01


def test_memory_grows_with_the_batch_and_shrinks_in_half_precision():
    a = Architecture.from_axes(block="basic", n=3, width=16)
    weights = training_memory(a, batch=0)
    assert weights == 12 * 272_474 + 4 * 1_568
    single = training_memory(a, batch=64) - weights
    assert training_memory(a, batch=128) - weights == pytest.approx(2 * single, abs=1)
    assert training_memory(a, batch=64, half=True) - weights == pytest.approx(single / 2, abs=1)
