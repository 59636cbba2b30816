from __future__ import annotations

import pytest

from resnet_search.errors import ArchitectureError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.rules import MOST_BLOCKS, MOST_STAGES

INFINITE, NAN = float("inf"), float("nan")
SE = {"attention": "se"}
RESNEXT = {"block": "resnext"}
WIDE = {"block": "wide"}
HIGHWAY = {"block": "highway"}
BOTTLENECK = {"block": "bottleneck"}
LATE = {"downsample": "last"}

# The block that each axis is tried with, and the values that are not of the axis' kind.
WRONG_VALUES = {
    "width": ({}, [0, -1, True, 16.0, "16", None]),
    "cardinality": (RESNEXT, [0, True, 2.0, None]),
    "attention_ratio": (SE, [0, True, 4.0, None]),
    "base_width": (RESNEXT, [0, True, 4.0]),
    "stem_width": ({}, [0, -1, True, 16.0]),
    "dropout": (WIDE, [1, 1.0, -0.1, True, False, "0.1", None, NAN]),
    "stochastic_depth": ({}, [1.0, -0.1, True, False, "0.1", None, NAN]),
    "gate_bias": (HIGHWAY, [True, False, None, "-2", NAN, INFINITE]),
    "zero_gamma": ({}, [0, 1, None]),
    "attention_bias": (SE, [0, 1]),
    "shortcut_norm": ({}, [0, 1]),
}
KINDS = {
    **dict.fromkeys(("width", "cardinality", "attention_ratio", "base_width", "stem_width"), "a count"),
    **dict.fromkeys(("dropout", "stochastic_depth"), "a rate"),
    **dict.fromkeys(("zero_gamma", "attention_bias", "shortcut_norm"), "a flag"),
    "gate_bias": "a number",
}

BROKEN = [
    ({"block": "dense"}, "unknown block"),
    ({"shortcut": "Identity"}, "unknown shortcut"),
    ({"attention": "cbam"}, "unknown attention"),
    ({"stem": "vgg"}, "unknown stem"),
    ({"activation": "sigmoid"}, "unknown activation"),
    ({"bias": True}, "unknown bias"),
    ({"downsample": "conv2"}, "unknown downsample"),
    *(
        ({**axes, axis: value}, f"{axis} is {KINDS[axis]}")
        for axis, (axes, values) in WRONG_VALUES.items()
        for value in values
    ),
    ({"blocks": [2, 2, 2]}, "blocks are counts"),
    ({"blocks": ()}, "blocks are counts"),
    ({"blocks": (2, 0, 2)}, "blocks are counts"),
    ({"blocks": (True, 2, 2)}, "blocks are counts"),
    ({"blocks": (2, 2, 2.0)}, "blocks are counts"),
    ({"multiples": (1, 2)}, "one multiple for each stage"),
    ({"multiples": (1, 2, 4, 8)}, "one multiple for each stage"),
    ({"multiples": [1, 2, 4]}, "one multiple for each stage"),
    ({**BOTTLENECK, "inner_multiples": (1, 2)}, "one multiple for each stage"),
    ({"multiples": (1, 1.03, 2)}, "multiples give whole channels"),
    ({"multiples": (1, 2, 4.01)}, "multiples give whole channels"),
    ({"multiples": (1, -2, 4)}, "multiples give whole channels"),
    ({"multiples": (0, 2, 4)}, "multiples give whole channels"),
    ({"multiples": (1, 0.0, 4)}, "multiples give whole channels"),
    ({"multiples": (True, 2, 4)}, "multiples give whole channels"),
    ({"multiples": ("1", 2, 4)}, "multiples give whole channels"),
    ({"multiples": (1, 2, NAN)}, "multiples give whole channels"),
    ({"multiples": (1, 2, INFINITE)}, "multiples give whole channels"),
    ({**BOTTLENECK, "inner_multiples": (1, 1.03, 2)}, "multiples give whole channels"),
    ({**RESNEXT, "base_width": 3, "inner_multiples": (1, 1.5, 2)}, "multiples give whole channels"),
    ({"inner_multiples": (1, 2, 4)}, "inner widths need a bottleneck"),
    ({"shortcut": "identity", "multiples": (4, 2, 1)}, "identity shortcut cannot narrow"),
    ({"shortcut": "identity", "multiples": (1, 2, 1)}, "identity shortcut cannot narrow"),
    ({"shortcut": "identity", "stem_width": 17}, "identity shortcut cannot narrow"),
    ({**WIDE, "width": 8, "shortcut": "identity"}, "identity shortcut cannot narrow"),
    ({"cardinality": 4}, "cardinality without groups"),
    ({"cardinality": 4, "base_width": 4}, "cardinality without groups"),
    ({**BOTTLENECK, "base_width": 4}, "base_width without groups"),
    ({**RESNEXT, "cardinality": 3}, "cardinality does not divide"),
    ({"block": "preact_resnext", "cardinality": 64}, "cardinality does not divide"),
    ({"block": "plain", "attention": "se"}, "attention needs a branch"),
    ({"attention_ratio": 8}, "attention axes without attention"),
    ({"attention_bias": True}, "attention axes without attention"),
    ({"block": "plain", "stochastic_depth": 0.2}, "stochastic depth needs an addition"),
    ({**HIGHWAY, "stochastic_depth": 0.2}, "stochastic depth needs an addition"),
    ({"block": "plain", "zero_gamma": True}, "zero gamma needs a norm before the addition"),
    ({**HIGHWAY, "zero_gamma": True}, "zero gamma needs a norm before the addition"),
    ({"block": "preact_basic", "zero_gamma": True}, "zero gamma needs a norm before the addition"),
    ({**WIDE, "zero_gamma": True}, "zero gamma needs a norm before the addition"),
    ({"dropout": 0.3}, "dropout needs a wide block"),
    ({"block": "preact_basic", "dropout": 0.3}, "dropout needs a wide block"),
    ({"gate_bias": -1.0}, "gate_bias needs a gate"),
    ({"block": "plain", "gate_bias": -1.0}, "gate_bias needs a gate"),
    ({"shortcut": "none"}, "a residual block has a shortcut"),
    ({**HIGHWAY, "shortcut": "none"}, "a residual block has a shortcut"),
    ({**WIDE, "shortcut_norm": False}, "shortcut_norm needs a normalised projection"),
    ({"shortcut": "identity", "shortcut_norm": False}, "shortcut_norm needs a normalised projection"),
    ({"block": "plain", "shortcut_norm": False}, "shortcut_norm needs a normalised projection"),
    ({"downsample": "conv1"}, "downsample needs a bottleneck"),
    ({**LATE, "blocks": (1, 2, 2)}, "late downsampling needs a second block"),
    ({**LATE, "blocks": (2, 1, 2)}, "late downsampling needs a second block"),
    ({**LATE, "shortcut": "all_projection"}, "late downsampling needs a second block"),
]

ALLOWED = [
    {"width": 1, "stem_width": 1, "blocks": (1,)},
    {"blocks": (1, 2, 3, 4, 5)},
    {"multiples": (1, 1.5, 2)},
    {"width": 3, "multiples": (1, 3, 5)},
    {"multiples": (4, 2, 1)},
    {**BOTTLENECK, "inner_multiples": (0.5, 1, 1)},
    {**RESNEXT, "width": 6, "base_width": 4, "inner_multiples": (0.25, 1, 2)},
    {**RESNEXT, "cardinality": 1, "base_width": 1},
    {**RESNEXT, "cardinality": 32},
    {"shortcut": "identity", "multiples": (1, 1, 1)},
    {"shortcut": "identity", "stem_width": 16},
    {**WIDE, "shortcut": "identity"},
    {**SE, "attention_ratio": 1, "attention_bias": True},
    {**HIGHWAY, **SE},
    {**WIDE, "dropout": 0.99, "stochastic_depth": 0.99},
    {"dropout": 0, "stochastic_depth": 0},
    {**HIGHWAY, "gate_bias": -1},
    {**HIGHWAY, "gate_bias": 0.5},
    {"zero_gamma": True},
    {**BOTTLENECK, "zero_gamma": True},
    {**RESNEXT, "zero_gamma": True},
    {"shortcut_norm": False},
    {"shortcut": "all_projection", "shortcut_norm": False},
    {"shortcut": "avgpool", "shortcut_norm": False},
    {**HIGHWAY, "shortcut_norm": False},
    {"block": "plain", "shortcut": "identity"},
    {**BOTTLENECK, "downsample": "conv1"},
    {**LATE},
    {**LATE, "blocks": (2, 2, 1)},
    {**LATE, "blocks": (1,)},
    {**LATE, "shortcut": "identity"},
    {**LATE, "shortcut": "avgpool"},
]


def build(axes) -> Architecture:
    return Architecture(**{"block": "basic", "blocks": (2, 2, 2), "width": 16, **axes})


@pytest.mark.parametrize(("axes", "rule"), BROKEN, ids=[f"{rule}: {axes}" for axes, rule in BROKEN])
def test_a_broken_rule_is_named(axes, rule):
    with pytest.raises(ArchitectureError) as caught:
        build(axes)
    assert caught.value.rule == rule
    assert any(axis in caught.value.message for axis in axes)


@pytest.mark.parametrize("axes", ALLOWED, ids=str)
def test_what_no_rule_forbids_is_allowed(axes):
    build(axes)


def test_the_nearest_name_is_offered():
    with pytest.raises(ArchitectureError) as caught:
        build({"block": "botleneck"})
    assert "'bottleneck'" in caught.value.cure
    with pytest.raises(ArchitectureError) as caught:
        build({"block": "xyz"})
    assert caught.value.cure == ""


@pytest.mark.parametrize(
    ("axes", "facts"),
    [
        ({"multiples": (1, 1.3, 4)}, ["multiples", "1.3", "16 x 1.3 = 20.8"]),
        ({"attention_ratio": 8}, ["attention_ratio is 8", "Leave attention_ratio out"]),
        ({"attention_bias": True}, ["attention_bias is true", "Leave attention_bias out"]),
        ({"attention_bias": True, "attention_ratio": 8}, ["attention_bias is true", "Leave attention_bias out"]),
        ({"gate_bias": -1.0}, ["gate_bias is -1.0", "'highway'"]),
        ({"shortcut": "identity", "multiples": (4, 2, 1)}, ["[16, 64, 32, 16]"]),
    ],
)
def test_a_broken_rule_names_what_was_given_and_what_helps(axes, facts):
    with pytest.raises(ArchitectureError) as caught:
        build(axes)
    assert [fact for fact in facts if fact not in str(caught.value)] == []


def test_a_product_is_given_for_a_positive_multiple_only():
    with pytest.raises(ArchitectureError) as caught:
        build({"multiples": (1, -2, 4)})
    assert "-2" in caught.value.message
    assert "16 x" not in caught.value.message


@pytest.mark.parametrize(
    ("axes", "stage", "channels"),
    [
        ({"width": 3, "cardinality": 12}, 1, 6),
        ({"width": 2, "cardinality": 4, "inner_multiples": (1, 1.5, 2)}, 2, 6),
    ],
)
def test_cardinality_is_checked_in_every_stage(axes, stage, channels):
    with pytest.raises(ArchitectureError) as caught:
        build({**RESNEXT, **axes})
    assert caught.value.rule == "cardinality does not divide"
    assert f"{channels} inner channels of stage {stage}" in caught.value.message
    build({**RESNEXT, **axes, "base_width": 2})  # The inner width is then a multiple of the cardinality.


@pytest.mark.parametrize("blocks", [(1,) * (MOST_STAGES + 1), (MOST_BLOCKS, 1)], ids=["stages", "blocks"])
def test_too_many_stages_and_too_many_blocks_are_each_refused(blocks):
    with pytest.raises(ArchitectureError, match="allowed: 32 stages and 10,000 blocks"):
        Architecture.from_axes(block="basic", blocks=blocks, width=4)


@pytest.mark.parametrize("blocks", [(1,) * MOST_STAGES, (MOST_BLOCKS,)], ids=["stages", "blocks"])
def test_as_many_stages_or_blocks_as_are_allowed(blocks):
    assert Architecture.from_axes(block="basic", blocks=blocks, width=4).blocks == blocks


@pytest.mark.parametrize(
    ("axis", "others"),
    [
        ("width", {}),
        ("cardinality", RESNEXT | {"width": 1_000_000}),
        ("attention_ratio", SE),
        ("base_width", {"block": "bottleneck"}),
        ("stem_width", {}),
    ],
)
def test_a_million_channels_are_the_most(axis, others):
    axes = {"block": "basic", "blocks": (1, 1), "width": 4, **others}
    if axis not in {"cardinality", "base_width"}:  # Other rules tie these to further widths.
        assert getattr(Architecture.from_axes(**{**axes, axis: 1_000_000}), axis) == 1_000_000
    with pytest.raises(ArchitectureError, match="allowed: up to 1,000,000"):
        Architecture.from_axes(**{**axes, axis: 1_000_001})


def test_a_multiple_and_a_bias_of_a_million_are_the_most():
    axes = {"block": "basic", "blocks": (1, 1), "width": 4}
    assert Architecture.from_axes(**axes, multiples=(1, 1_000_000)).multiples == (1, 1_000_000)
    with pytest.raises(ArchitectureError):
        Architecture.from_axes(**axes, multiples=(1, 1_000_001))
    axes = {**axes, "block": "highway"}
    assert Architecture.from_axes(**axes, gate_bias=-1_000_000).gate_bias == -1_000_000
    with pytest.raises(ArchitectureError, match="gate_bias"):
        Architecture.from_axes(**axes, gate_bias=-1_000_001)
