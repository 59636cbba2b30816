"""Numbers and names as a person reads them."""

from __future__ import annotations

import pytest

from resnet_search.cli.text import clock, count, loss, moment, roughly, safe, wrapped
from resnet_search.report.units import counted, duration, sparkline


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (7, "7"), (985, "985"), (999, "999"), (1000, "1.00 k"), (45_239, "45.2 k"), (269_722, "270 k"),
        (999_499, "999 k"), (999_900, "1.00 M"), (12_345_678, "12.3 M"), (1.4e9, "1.40 G"), (8e12, "8.00 T"),
        (8e16, "80,000 T"),
    ],
)  # fmt: skip
def test_counts_have_three_digits(number: float, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (4.25, "4.2 s"), (48.4, "48 s"), (59.6, "1 min 0 s"), (192, "3 min 12 s"),
        (3600, "1 h 0 min"), (7500, "2 h 5 min"), (86_400 * 3 + 3600 * 4, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "under a minute"), (100, "about 2 min"), (5000, "about 83 min"), (9000, "about 2.5 h"),
        (86_400 * 3, "about 3 d"), (86_400 * 99.7, "about 100 d"), (86_400 * 400, "about 400 d"),
        (86_400 * 13_415, "about 37 years"), (86_400 * 3_650_000, "about 10,000 years"),
    ],
)  # fmt: skip
def test_estimates_have_no_false_digits(seconds: float, text: str) -> None:
    assert roughly(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0:00"), (7.9, "0:07"), (725, "12:05"), (10_859, "3:00:59"), (90_000, "25:00:00")]
)
def test_clocks(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert safe("a\x1b[31mb\rc\u202ed\udcff") == "a\\x1b[31mb\\rc\\u202ed\\udcff"
    assert safe("two\nlines") == "two\\nlines"
    assert safe("two\nlines", lines=True) == "two\nlines"
    assert safe("é [bold] 猫") == "é [bold] 猫"


def test_sparklines_go_from_lowest_to_highest() -> None:
    assert sparkline([0.0, 1.0]) == "▁█"
    assert sparkline([0.5, 0.5]) == "▄▄"
    assert sparkline([0.0, float("nan"), 7.0]) == "▁·█"
    assert sparkline([]) == ""
    long = sparkline([float(value) for value in range(1000)], width=40)
    assert len(long) == 40
    assert (long[0], long[-1]) == ("▁", "█")
    assert list(long) == sorted(long)


def test_lines_are_wrapped_between_words_and_commands_stay_whole() -> None:
    text = "  - it goes on with resnet-search resume live"
    assert wrapped(text, 40, 4) == ["  - it goes on with", "    resnet-search resume live"]
    assert wrapped(text, 80) == [text]
    # What is wider than a line is broken in a table, and stays whole where it is to be copied.
    assert wrapped("x" * 50, 40, 4) == ["x" * 40, "    " + "x" * 10]
    assert wrapped("x" * 50, 40, 4, breaking=False) == ["x" * 50]
    assert wrapped("see resnet-search show a b", 20, breaking=False) == ["see", "resnet-search show a b"]


def test_small_words() -> None:
    assert counted(1, "trial") == "1 trial"
    assert counted(1234, "epoch") == "1,234 epochs"
    assert loss(None) == ""
    assert loss(0.91237) == "0.9124"
    assert moment(0) == ""
    assert moment(1_790_000_000.0).startswith("2026-09-2")
