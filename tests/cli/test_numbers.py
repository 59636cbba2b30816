"""Numbers on the command line: digits, groups of digits, and suffixes."""

from __future__ import annotations

import pytest

from resnet_search.cli.numbers import integer, number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("-7", -7), ("50000", 50_000), ("50_000", 50_000), ("1_234_567", 1_234_567), ("50k", 50_000),
        ("50K", 50_000), ("1.5M", 1_500_000), ("2m", 2_000_000), ("0.25G", 250_000_000), ("1_000k", 1_000_000),
    ],
)  # fmt: skip
def test_an_integer_can_be_written_with_groups_or_a_suffix(text: str, value: int) -> None:
    assert integer(text) == value
    assert number(text) == value
    assert type(number(text)) is int


@pytest.mark.parametrize(
    "text", ["", "k", "1_0", "1__000", "_100", "5.0", "1.2345k", "1,000", "50 k", "50kk", "٣", "nan", "1e3", "9" * 500]
)
def test_other_texts_are_no_integers(text: str) -> None:
    assert integer(text) is None


def test_numbers_that_are_not_integers_stay_floats_or_text() -> None:
    assert (number("0.1"), number("1e3"), number("nan"), number("1_0"), number("much")) == (
        0.1, 1e3, "nan", "1_0", "much",
    )  # fmt: skip
