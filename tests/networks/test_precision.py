"""Which blocks compute in half precision on a processor."""

from __future__ import annotations

import keras
import pytest

from resnet_search.networks.anatomy import anatomy
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.model import build_model
from resnet_search.networks.precision import FLOAT32, MIXED, WIDE, is_wide


def wide_blocks(**axes) -> list[list[bool]]:
    """By stage."""
    architecture = Architecture.from_axes(n=2, **axes)
    stages = zip(anatomy(architecture).stages, architecture.blocks, strict=True)
    return [[is_wide(block) for block in stage.expand(count)] for stage, count in stages]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({"block": "basic", "width": 16}, [[True] * 2] * 3),
        # The first block of a stage takes the channels of the one before.
        ({"block": "basic", "width": 8}, [[False, False], [False, True], [True, True]]),
        ({"block": "basic", "width": 12}, [[False, False], [False, False], [False, True]]),
        ({"block": "bottleneck", "width": 8}, [[False, False], [True, True], [True, True]]),
    ],
    ids=["wide", "narrow", "odd", "bottleneck"],
)
def test_blocks_of_multiples_of_16_channels(axes, expected):
    assert wide_blocks(**axes) == expected


def test_layers_follow_their_block():
    before = keras.config.dtype_policy()
    network = build_model(Architecture.from_axes(block="basic", n=2, width=8), precision=WIDE)
    assert keras.config.dtype_policy() == before
    kinds = {layer.name: layer.compute_dtype for layer in network.layers}
    half = {name for name, kind in kinds.items() if kind == "bfloat16"}
    assert half == {name for name in kinds if name.startswith(("stage2_block2", "stage3"))}
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert network.output.dtype == "float32"


@pytest.mark.parametrize(("precision", "kind"), [(FLOAT32, "float32"), (MIXED, "bfloat16")])
def test_one_precision_for_all(precision, kind):
    network = build_model(Architecture.from_axes(block="basic", n=1, width=8), precision=precision)
    kinds = {layer.compute_dtype for layer in network.layers if isinstance(layer, keras.layers.Conv2D)}
    assert kinds == {kind}
