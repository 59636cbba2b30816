from __future__ import annotations

import pytest

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.memory import HIGHEST, LOWEST, training_memory

MEASURED = [  # axes, side of the images, batch, and the growth of the resident set in MiB by benchmarks/memory.py
    ({"block": "basic", "n": 3, "width": 16}, 32, 128, 264),
    ({"block": "basic", "n": 1, "width": 32}, 32, 128, 279),
    ({"block": "plain", "n": 3, "width": 16}, 32, 128, 254),
    ({"block": "bottleneck", "n": 3, "width": 16}, 32, 128, 779),
    ({"block": "resnext", "n": 2, "width": 16, "cardinality": 4}, 32, 128, 750),
    ({"block": "preact_basic", "n": 3, "width": 16}, 32, 128, 257),
    ({"block": "preact_bottleneck", "n": 3, "width": 16}, 32, 128, 702),
    ({"block": "wide", "n": 2, "width": 64}, 32, 128, 606),
    ({"block": "basic", "n": 3, "width": 16, "attention": "se"}, 32, 128, 314),
    ({"block": "highway", "n": 3, "width": 16}, 32, 128, 406),
    ({"block": "basic", "blocks": [2, 2, 2, 2], "width": 32}, 64, 32, 398),
    ({"block": "bottleneck", "blocks": [3, 4, 6, 3], "width": 32, "stem": "imagenet"}, 128, 32, 618),
]


def test_the_stated_error_holds_for_what_was_measured():
    errors = []
    for axes, side, batch, measured in MEASURED:
        a, shape = Architecture.from_axes(**axes), (side, side, 3)
        grown = training_memory(a, batch=batch, input_shape=shape) - training_memory(a, batch=1, input_shape=shape)
        errors.append(grown / (measured * 2**20) - 1)
    assert min(errors) == pytest.approx(LOWEST, abs=0.006)
    assert max(errors) == pytest.approx(HIGHEST, abs=0.006)


def test_memory_grows_with_the_batch_and_shrinks_in_half_precision():
    a = Architecture.from_axes(block="basic", n=3, width=16)
    weights = training_memory(a, batch=0)
    assert weights == 12 * 272_474 + 4 * 1_568
    single = training_memory(a, batch=64) - weights
    assert training_memory(a, batch=128) - weights == pytest.approx(2 * single, abs=1)
    assert training_memory(a, batch=64, half=True) - weights == pytest.approx(single / 2, abs=1)
