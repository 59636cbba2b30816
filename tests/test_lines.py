"""Lines of logs, and what a changed byte does to them."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.lines import decode_line, encode_line

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text().filter(lambda key: key != "crc"), VALUES, max_size=5))
def test_a_line_gives_its_value_back(value):
    line = encode_line(value)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert decode_line(line) == value


def test_a_changed_bit_is_found():
    """Only the name of the checksum itself can change unseen, and the value is then as it was."""
    value = {"event": "completed", "score": 0.8125, "reason": "ü", "trials": ["0000", "0001"], "done": True}
    line = encode_line(value).rstrip()
    unseen = 0
    for place, bit in itertools.product(range(len(line)), range(8)):
        changed = bytearray(line)
        changed[place] ^= 1 << bit
        try:
            found = decode_line(bytes(changed))
        except ValueError:
            continue
        unseen += 1
        assert {key: found.get(key) for key in value} == value
    assert unseen <= 8 * len('"crc": ')


def test_a_line_without_a_checksum_is_one_of_an_earlier_version():
    assert decode_line(b'{"n": 1}') == {"n": 1}


@pytest.mark.parametrize("line", [b"", b"nonsense", b"[" * 100_000, b"{}, {}", b"\xff"])
def test_what_is_no_line(line):
    with pytest.raises(ValueError, match="is not JSON"):
        decode_line(line)


def test_no_number_that_json_does_not_have():
    with pytest.raises(ValueError, match="JSON"):
        encode_line({"n": float("nan")})
    assert json.loads(encode_line({"n": 1e308}))["n"] == 1e308
