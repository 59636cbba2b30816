"""Lengths of training: numbers of epochs, and after which of them a network is validated."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.training.length import in_epochs, in_total, validations

LENGTHS = st.integers(0, 3000).map(lambda hundredths: in_epochs(hundredths / 100))


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (0.1 + 0.2, "0.3"), (1 / 9, "0.11"), (2.999, "3"), (0, "0")])
def test_whole_numbers_are_integers_and_others_have_two_decimals(value, text):
    assert json.dumps(in_epochs(value)) == text


@given(st.lists(LENGTHS))
def test_a_sum_is_exact_in_hundredths(lengths):
    assert round(100 * in_total(lengths)) == sum(round(100 * length) for length in lengths)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 3, [1, 2, 3]), (0, 0.11, [0.11]), (0.11, 0.33, [0.33]), (0.33, 1, [1]), (0.33, 2, [1, 2]),
        (1, 2.5, [2, 2.5]), (2, 2, []),
    ],
)  # fmt: skip
def test_networks_are_validated_after_whole_epochs_and_at_the_end(start, end, expected):
    assert json.dumps(validations(start, end)) == json.dumps(expected)


@given(LENGTHS, LENGTHS)
def test_no_stretch_between_validations_crosses_the_end_of_an_epoch(one, other):
    start, end = sorted((one, other))
    for before, after in pairwise([start, *validations(start, end)]):
        assert before < after
        assert after <= int(before) + 1
