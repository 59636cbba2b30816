from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys

import pytest

from resnet_search.errors import ArchitectureError
from resnet_search.networks.architecture import BLOCKS, Architecture, applies, layers_per_block, nearest_depths


def test_depth_and_n_give_the_same_network():
    assert Architecture.from_axes(block="basic", depth=20, width=16) == Architecture.from_axes(
        block="basic", n=3, width=16
    )
    assert Architecture.from_axes(block="resnext", depth=29, width=16, cardinality=4).blocks == (3, 3, 3)


@pytest.mark.parametrize(
    ("block", "depth", "n"),
    [("plain", 20, 3), ("basic", 1202, 200), ("bottleneck", 164, 18), ("wide", 28, 4), ("preact_basic", 110, 18)],
)
def test_depth_is_the_papers(block, depth, n):
    a = Architecture.from_axes(block=block, depth=depth, width=16)
    assert a.blocks == (n, n, n)
    assert a.depth == depth


def test_depth_of_a_stage_list():
    assert Architecture(block="bottleneck", blocks=(3, 4, 6, 3), width=64).depth == 50
    assert Architecture(block="basic", blocks=(2, 2, 2, 2), width=64).depth == 18


@pytest.mark.parametrize(
    ("block", "depth", "near"),
    [("basic", 21, "20 and 26"), ("basic", 1, "8"), ("bottleneck", 12, "11 and 20"), ("wide", 20, "16 and 22")],
)
def test_a_depth_that_fits_no_n_names_the_nearest(block, depth, near):
    with pytest.raises(ArchitectureError) as caught:
        Architecture.from_axes(block=block, depth=depth, width=16)
    assert caught.value.rule == "depth fits no n"
    assert near in str(caught.value)
    assert str(depth) in caught.value.message


def test_nearest_depths():
    assert nearest_depths("basic", 21) == [20, 26]
    assert nearest_depths("basic", 20) == [20]
    assert nearest_depths("basic", -5) == [8]
    assert nearest_depths(["basic", "bottleneck"], 21) == [20, 26, 29]


def test_layers_per_block():
    assert {block: layers_per_block(block) for block in BLOCKS} == {
        "plain": 2,
        "basic": 2,
        "bottleneck": 3,
        "resnext": 3,
        "preact_basic": 2,
        "preact_bottleneck": 3,
        "preact_resnext": 3,
        "wide": 2,
        "highway": 2,
    }


def test_names_are_stable():
    names = {
        "basic20-w16": Architecture.from_axes(block="basic", depth=20, width=16),
        "resnext20-w16-c4": Architecture.from_axes(block="resnext", depth=20, width=16, cardinality=4),
        "plain8-w8": Architecture.from_axes(block="plain", n=1, width=8),
        "bottleneck50-w64-b3x4x6x3-identity": Architecture.from_axes(
            block="bottleneck", blocks=[3, 4, 6, 3], width=64, shortcut="identity"
        ),
        "wide16-w32-se-r8-m1x1.5x2-drop0.3-sd0.2": Architecture.from_axes(
            block="wide",
            depth=16,
            width=32,
            attention="se",
            attention_ratio=8,
            multiples=[1, 1.5, 2],
            dropout=0.3,
            stochastic_depth=0.2,
        ),
    }
    assert {name: a.name for name, a in names.items()} == {name: name for name in names}


def test_names_are_unique_and_fit_for_files():
    seen = {}
    for block, n, width, shortcut, cardinality, activation in itertools.product(
        BLOCKS, (1, 2), (16, 32), ("identity", "projection", "avgpool"), (1, 2), ("relu", "silu")
    ):
        if cardinality > 1 and not applies("cardinality", block=block):
            continue
        a = Architecture.from_axes(
            block=block, n=n, width=width, shortcut=shortcut, cardinality=cardinality, activation=activation
        )
        assert re.fullmatch(r"[a-z0-9_.\-]+", a.name)
        assert seen.setdefault(a.name, a) == a
    assert len(seen) == len(set(seen.values()))


OTHER_VALUES = [
    ("basic", {"blocks": (2, 1, 2)}),
    ("basic", {"blocks": (2, 2)}),
    ("basic", {"width": 8}),
    ("basic", {"shortcut": "identity"}),
    ("resnext", {"cardinality": 2}),
    ("resnext", {"base_width": 4}),
    ("basic", {"attention": "se"}),
    ("basic", {"attention": "se", "attention_ratio": 8}),
    ("basic", {"attention": "se", "attention_bias": True}),
    ("basic", {"stem": "deep"}),
    ("basic", {"stem_width": 8}),
    ("basic", {"multiples": (1, 1.5, 2)}),
    ("bottleneck", {"inner_multiples": (1, 1, 2)}),
    ("basic", {"activation": "silu"}),
    ("wide", {"dropout": 0.3}),
    ("basic", {"stochastic_depth": 0.2}),
    ("basic", {"zero_gamma": True}),
    ("basic", {"bias": "all"}),
    ("basic", {"shortcut_norm": False}),
    ("basic", {"downsample": "last"}),
    ("highway", {"gate_bias": -1.0}),
]


def test_every_axis_shows_in_the_name_and_in_the_dictionary():
    architectures = {Architecture(block=block, blocks=(2, 2, 2), width=16) for block in BLOCKS}
    for block, values in OTHER_VALUES:
        a = Architecture(**{"block": block, "blocks": (2, 2, 2), "width": 16, **values})
        assert Architecture.from_dict(a.to_dict()) == a
        architectures.add(a)
    assert {axis for _, values in OTHER_VALUES for axis in values} | {"block"} == set(Architecture.__slots__)
    assert len(architectures) == len(BLOCKS) + len(OTHER_VALUES)
    assert len({a.name for a in architectures}) == len(architectures)


def test_round_trip_through_json_keeps_the_early_form():
    a = Architecture.from_axes(block="resnext", n=2, width=16, cardinality=4)
    assert a.to_dict() == {
        "block": "resnext",
        "blocks": [2, 2, 2],
        "width": 16,
        "shortcut": "projection",
        "cardinality": 4,
        "base_width": None,
    }
    rich = Architecture.from_axes(
        block="preact_bottleneck", blocks=[2, 2], width=16, multiples=[1, 3], attention="se", stem="deep"
    )
    for each in (a, rich):
        assert Architecture.from_dict(json.loads(json.dumps(each.to_dict()))) == each


def test_plain_ignores_the_shortcut():
    networks = {Architecture(block="plain", blocks=(1, 1, 1), width=8, shortcut=s) for s in ("identity", "projection")}
    assert [a.shortcut for a in networks] == ["none"]


@pytest.mark.parametrize(
    ("axes", "rule", "words"),
    [
        ({"block": "basic", "n": 1, "widht": 8}, "missing axis", "width"),
        ({"block": "basic", "n": 1, "width": 8, "shortcuts": "identity"}, "unknown axis", "'shortcut'"),
        ({"block": "basic", "width": 8}, "one of depth, n, blocks", "depth, n"),
        ({"block": "basic", "width": 8, "n": 1, "depth": 8}, "one of depth, n, blocks", "depth, n"),
        ({"block": "basc", "n": 1, "width": 8}, "unknown block", "'basic'"),
    ],
)
def test_unknown_and_missing_axes(axes, rule, words):
    if "width" not in axes:
        axes = {"block": "basic", "blocks": [1]}
        with pytest.raises(ArchitectureError) as caught:
            Architecture.from_dict(axes)
    else:
        with pytest.raises(ArchitectureError) as caught:
            Architecture.from_axes(**axes)
    assert caught.value.rule == rule
    assert words in str(caught.value)


def test_applies():
    assert applies("cardinality", block="resnext")
    assert not applies("cardinality", block="basic")
    assert not applies("shortcut", block="plain")
    assert not applies("attention_ratio", block="basic")
    assert applies("attention_ratio", block="basic", attention="se")
    assert applies("width", block="basic")


@pytest.mark.parametrize("block", BLOCKS)
def test_an_axis_applies_where_the_rules_allow_another_value(block):
    others = {
        "cardinality": {"cardinality": 2},
        "base_width": {"base_width": 4},
        "attention": {"attention": "se"},
        "dropout": {"dropout": 0.1},
        "stochastic_depth": {"stochastic_depth": 0.1},
        "zero_gamma": {"zero_gamma": True},
        "shortcut_norm": {"shortcut_norm": False},
        "gate_bias": {"gate_bias": -1.0},
        "inner_multiples": {"inner_multiples": (1, 1, 1)},
    }
    for axis, values in others.items():
        try:
            Architecture(block=block, blocks=(1, 1, 1), width=16, **values)
            allowed = True
        except ArchitectureError:
            allowed = False
        assert applies(axis, block=block) is allowed, axis


def test_no_heavy_imports():
    code = (
        "import sys, resnet_search.networks.architecture, resnet_search.networks.complexity; "
        "print([m for m in ('keras', 'tensorflow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
