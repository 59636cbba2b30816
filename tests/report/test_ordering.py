from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.report.ordering import sort_value
from resnet_search.report.units import duration, large, percent, size

CELLS = {
    "12": 12, "1,234,567": 1_234_567, "-0.5": -0.5, "+1.25 points": 1.25, "93.21 %": 93.21, "93.21 % ± 0.40 %": 93.21,
    "12.3 million": 12_300_000, "1.5 GB": 1.5e9, "4.2e-07": 4.2e-7, "948 (72%)": 948, "3 of 5": 3, "2 d 4 h": 187_200,
    "1 h 5 min": 3900, "3 min 12 s": 192, "48 s": 48, "0 to 3": 0,
    "none": None, "": None, "resnet-20": None, "(tie)": None,
}  # fmt: skip


def test_known_cells():
    # Equal, None with None too, but for the last bits.
    assert {text: sort_value(text) for text in CELLS} == pytest.approx(CELLS)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
@pytest.mark.parametrize("write", [duration, lambda number: large(number * 1e7), lambda number: size(int(number * 1e5)),
                                   lambda number: percent(number / 1e6)])  # fmt: skip
def test_cells_sort_as_their_numbers_do(write, one, other):
    low, high = sorted((one, other))
    first, last = sort_value(write(low)), sort_value(write(high))
    assert first is not None
    assert last is not None
    assert first <= last
