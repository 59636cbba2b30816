"""Times on the command line."""

from __future__ import annotations

import click
import pytest

from resnet_search.cli.budget import Duration, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1d2h3m4s", 93_784), ("1h0m5s", 3605)],
)
def test_times(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds
    assert Duration("1s", "2d").convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "90", "2 h", "h", "1m1h", "-1s", "1.5h", "٣h", "1h30", "2H", "0s", "3d", "99999999999s", "1_0s", "2h\n"],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"\b1s\b.*\b2d\b"):
        Duration("1s", "2d").convert(text, None, None)
