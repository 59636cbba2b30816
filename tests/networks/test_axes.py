from __future__ import annotations

from dataclasses import fields

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.axes import CHOICES, MEANINGS


def test_every_axis_has_a_meaning_and_every_name_an_axis():
    axes = [axis.name for axis in fields(Architecture)]
    assert list(MEANINGS) == axes
    assert set(CHOICES) == {axis.name for axis in fields(Architecture) if axis.type == "str"}
    for axis, names in CHOICES.items():
        default = Architecture(block="basic", blocks=(1,), width=8)
        assert getattr(default, axis) in names
