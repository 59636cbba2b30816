"""Networks by their axes on a command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.errors import UserError
from resnet_search.networks.architecture import BLOCKS, Architecture
from resnet_search.spaces.spelled import architecture_spelled, spelled

LAYERS = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@given(st.sampled_from(sorted(set(BLOCKS) - {"resnext", "preact_resnext"})), LAYERS, st.integers(1, 64))
def test_what_is_spelled_is_read_back(block, blocks, width):
    values = {"block": block, "blocks": tuple(blocks), "width": 2 * width}
    assert architecture_spelled(spelled(values), "--baseline") == Architecture.from_axes(**values)


def test_every_kind_of_value():
    made = architecture_spelled("block=wide,n=2,width=16,dropout=0.25,multiples=1-2-4.5", "--baseline")
    assert (made.dropout, made.multiples) == (0.25, (1.0, 2.0, 4.5))
    made = architecture_spelled("block=basic,n=2,width=16,zero_gamma=true,activation=gelu", "--baseline")
    assert (made.zero_gamma, made.activation) == (True, "gelu")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("block=basic,n=3", "block, width and one of"),
        ("block=basic,width=8", "block, width and one of"),
        ("block=basic,n=1,depth=8,width=8", "block, width and one of"),
        ("block=basic,n=1,widht=8", "Did you mean width"),
        ("block=basic,n=1,width=8,width=9", "once"),
        ("block=basic,n=1,width", "AXIS=VALUE"),
        ("block=basik,n=1,width=8", "block=basik"),
        ("block=basic,n=0,width=8", "from 1"),
        ("block=basic,n=1e9,width=8", "from 1"),
        ("block=basic,n=1_0,width=8", "from 1"),
        ("block=basic,n=nan,width=8", "from 1"),
        ("models=resnet-20", "AXIS=VALUE"),
        ("=", "AXIS=VALUE"),
        ("\x1b[2J=1", "AXIS=VALUE"),
        ("block=resnext,n=1,width=5,cardinality=4", "cardinality"),
    ],
)
def test_what_is_wrong_is_named(text, words):
    with pytest.raises(UserError) as caught:
        architecture_spelled(text, "--baseline")
    assert words in str(caught.value)
    assert "\x1b" not in str(caught.value)
