from __future__ import annotations

import pytest

from resnet_search.errors import ArchitectureError
from resnet_search.networks.architecture import Architecture

BROKEN = [
    ({"block": "dense"}, "unknown block"),
    ({"shortcut": "Identity"}, "unknown shortcut"),
    ({"attention": "cbam"}, "unknown attention"),
    ({"stem": "vgg"}, "unknown stem"),
    ({"activation": "sigmoid"}, "unknown activation"),
    ({"bias": True}, "unknown bias"),
    ({"downsample": "conv2"}, "unknown downsample"),
    ({"zero_gamma": 1}, "zero_gamma is a flag"),
    ({"blocks": [2, 2, 2]}, "blocks are counts"),
    ({"blocks": ()}, "blocks are counts"),
    ({"blocks": (2, 0, 2)}, "blocks are counts"),
    ({"blocks": (True, 2, 2)}, "blocks are counts"),
    ({"width": 0}, "width is a count"),
    ({"width": 16.0}, "width is a count"),
    ({"width": True}, "width is a count"),
    ({"block": "resnext", "cardinality": 0}, "cardinality is a count"),
    ({"block": "resnext", "base_width": 0}, "base_width is a count"),
    ({"stem_width": -1}, "stem_width is a count"),
    ({"attention": "se", "attention_ratio": 0}, "attention_ratio is a count"),
    ({"block": "wide", "dropout": 1.0}, "dropout is a rate"),
    ({"stochastic_depth": -0.1}, "stochastic_depth is a rate"),
    ({"stochastic_depth": "0.1"}, "stochastic_depth is a rate"),
    ({"block": "highway", "gate_bias": None}, "gate_bias is a number"),
    ({"block": "highway", "gate_bias": float("nan")}, "gate_bias is a number"),
    ({"multiples": (1, 2)}, "one multiple for each stage"),
    ({"multiples": (1, 1.03, 2)}, "multiples give whole channels"),
    ({"multiples": (1, -2, 4)}, "multiples give whole channels"),
    ({"inner_multiples": (1, 2, 4)}, "inner widths need a bottleneck"),
    ({"shortcut": "identity", "multiples": (4, 2, 1)}, "identity shortcut cannot narrow"),
    ({"block": "wide", "width": 8, "shortcut": "identity"}, "identity shortcut cannot narrow"),
    ({"cardinality": 4}, "cardinality without groups"),
    ({"block": "bottleneck", "base_width": 4}, "base_width without groups"),
    ({"block": "resnext", "cardinality": 3}, "cardinality does not divide"),
    ({"block": "preact_resnext", "cardinality": 64}, "cardinality does not divide"),
    ({"block": "plain", "attention": "se"}, "attention needs a branch"),
    ({"attention_ratio": 8}, "attention axes without attention"),
    ({"attention_bias": True}, "attention axes without attention"),
    ({"block": "plain", "stochastic_depth": 0.2}, "stochastic depth needs an addition"),
    ({"block": "highway", "stochastic_depth": 0.2}, "stochastic depth needs an addition"),
    ({"block": "plain", "zero_gamma": True}, "zero gamma needs a norm before the addition"),
    ({"block": "preact_basic", "zero_gamma": True}, "zero gamma needs a norm before the addition"),
    ({"dropout": 0.3}, "dropout needs a wide block"),
    ({"gate_bias": -1.0}, "gate_bias needs a gate"),
    ({"shortcut": "none"}, "a residual block has a shortcut"),
    ({"block": "wide", "shortcut_norm": False}, "shortcut_norm needs a normalised projection"),
    ({"shortcut": "identity", "shortcut_norm": False}, "shortcut_norm needs a normalised projection"),
    ({"downsample": "conv1"}, "downsample needs a bottleneck"),
    ({"downsample": "last", "blocks": (1, 2, 2)}, "late downsampling needs a second block"),
    ({"downsample": "last", "shortcut": "all_projection"}, "late downsampling needs a second block"),
]


@pytest.mark.parametrize(("axes", "rule"), BROKEN, ids=[f"{rule}: {axes}" for axes, rule in BROKEN])
def test_a_broken_rule_is_named(axes, rule):
    with pytest.raises(ArchitectureError) as caught:
        Architecture(**{"block": "basic", "blocks": (2, 2, 2), "width": 16, **axes})
    assert caught.value.rule == rule
    assert any(axis in caught.value.message for axis in axes)


def test_the_nearest_name_is_offered():
    with pytest.raises(ArchitectureError, match="'bottleneck'"):
        Architecture(block="botleneck", blocks=(1,), width=8)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (
            {"multiples": (1, 1.3, 4)},
            "multiples holds 1.3, and 16 x 1.3 = 20.8; allowed: numbers above 0 whose product",
        ),
        ({"multiples": (1, -2, 4)}, "multiples holds -2; allowed"),
        ({"attention_ratio": 8}, "attention_ratio is 8, but attention is 'none'.\nLeave attention_ratio out, or"),
        ({"attention_bias": True}, "attention_bias is true, but attention is 'none'.\nLeave attention_bias out, or"),
        ({"gate_bias": -1.0}, "Leave gate_bias out, or use block 'highway'."),
    ],
)
def test_a_broken_rule_says_what_was_given_and_what_helps(axes, said):
    with pytest.raises(ArchitectureError) as caught:
        Architecture(**{"block": "basic", "blocks": (2, 2, 2), "width": 16, **axes})
    assert said in str(caught.value)


def test_cardinality_is_checked_in_every_stage():
    Architecture(block="resnext", blocks=(1, 1, 1), width=3, cardinality=6)
    with pytest.raises(ArchitectureError, match="stage 1"):
        Architecture(block="resnext", blocks=(1, 1, 1), width=3, cardinality=12)
    Architecture(block="resnext", blocks=(1, 1, 1), width=3, cardinality=12, base_width=1)
