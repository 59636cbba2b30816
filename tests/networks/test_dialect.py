from __future__ import annotations

from resnet_search.networks import rules
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.networks.dialect import BLOCK_TYPES, BlockType, Layer


def test_what_a_block_type_says_of_itself():
    assert [name for name, kind in BLOCK_TYPES.items() if kind.preactivation] == [
        "preact_basic",
        "preact_bottleneck",
        "preact_resnext",
        "wide",
    ]
    assert [name for name, kind in BLOCK_TYPES.items() if kind.grouped] == ["resnext", "preact_resnext"]
    assert [name for name, kind in BLOCK_TYPES.items() if kind.drops] == ["wide"]
    assert not BLOCK_TYPES["basic"].bottleneck
    assert all(kind.source for kind in BLOCK_TYPES.values())


def test_one_entry_adds_a_block_type(monkeypatch, measured):
    """The example of docs/blocks.md, with torchvision's count."""
    from resnet_search.networks.model import build_model

    bottleneck = (Layer(1, "inner", "cna"), Layer(3, "inner", "cna"), Layer(1, "out", "cn"))
    entry = BlockType(source="a test", branch=bottleneck, after="a", expansion=4, inner=2)
    monkeypatch.setitem(BLOCK_TYPES, "wide_bottleneck", entry)
    monkeypatch.setattr(rules, "BLOCKS", tuple(BLOCK_TYPES))
    a = Architecture(block="wide_bottleneck", blocks=(3, 4, 6, 3), width=64, stem="imagenet")
    assert a.depth == 50
    assert complexity(a, (224, 224, 3), 1000).trainable == 68_883_240
    small = Architecture(block="wide_bottleneck", blocks=(1, 1), width=4)
    assert complexity(small) == measured(build_model(small))
