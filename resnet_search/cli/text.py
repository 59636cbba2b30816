"""Format numbers, times and names for people. Text from files passes through `safe`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from textwrap import wrap

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_YEAR = 365 * _DAY
MOST = 300  # characters of a name or a reason in a table
MOST_OF_A_LINE = 2000  # characters of a line of text
_CUT = "..."
_COMMAND = re.compile(r"resnet-search( [^ ]*[^ ;,.:)])+")
_PERCENT = re.compile(r"(?<=\d) (?=%)")
_GLUE = "\x00"  # does not occur in text from `safe`


def safe(text: object, *, lines: bool = False) -> str:
    """Escape control characters, which a terminal would obey.

    `lines`: keep line ends.
    """
    words = str(text)
    if words.isprintable():
        return words
    kept = "\n" if lines else ""
    return "".join(
        char if char.isprintable() or char in kept else char.encode("unicode_escape").decode() for char in words
    )


def cut(text: str, most: int = MOST) -> str:
    """Cut text to at most `most` characters; keep its beginning and end, which distinguish names."""
    if len(text) <= most:
        return text
    behind = (most - len(_CUT)) // 2
    return f"{text[: most - len(_CUT) - behind]}{_CUT}{text[len(text) - behind :]}"


def cut_lines(text: str) -> str:
    """Cut each line to `MOST_OF_A_LINE`."""
    if len(text) <= MOST_OF_A_LINE:
        return text
    return "\n".join(cut(line, MOST_OF_A_LINE) for line in text.split("\n"))


def wrapped(text: str, width: int, indent: int = 0, *, breaking: bool = True) -> list[str]:
    """Wrap a line to at most `width` characters, all lines but the first indented. Commands and percentages stay
    in one line.

    breaking: whether to break names and commands wider than a line; otherwise they stay whole, to be copied.
    """
    room = width - indent

    def glued(found: re.Match[str]) -> str:
        return found[0] if breaking and len(found[0]) > room else found[0].replace(" ", _GLUE)

    lines = wrap(
        _PERCENT.sub(_GLUE, _COMMAND.sub(glued, text)),
        width,
        subsequent_indent=" " * indent,
        break_long_words=breaking,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]


def count(number: float) -> str:
    """Format with three digits and a unit: 985, 45.2 k, 12.3 M, 1.40 G."""
    size = abs(number)
    for limit, scale, unit in ((1e3, 1.0, ""), (1e6, 1e3, " k"), (1e9, 1e6, " M"), (1e12, 1e9, " G")):
        if size < limit * 0.9995:
            return f"{number:.0f}" if scale == 1.0 else f"{_three_digits(number / scale)}{unit}"
    return f"{_three_digits(number / 1e12)} T"


def _three_digits(number: float) -> str:
    before = len(str(int(abs(number))))
    return f"{number:,.{max(0, 3 - before)}f}"


def loss(value: float | None) -> str:
    """Format a loss in nats. Accuracies are percentages: `report.units.percent`."""
    return "" if value is None else f"{value:.4f}"


def clock(seconds: float) -> str:
    """Format a running time: 0:07, 12:05, 3:00:59."""
    whole = max(0, int(seconds))
    minutes = f"{whole % _HOUR // _MINUTE}:{whole % _MINUTE:02}"
    return minutes if whole < _HOUR else f"{whole // _HOUR}:{minutes:0>5}"


def roughly(seconds: float) -> str:
    """Format an estimate without false precision: under a minute, about 4 min, 2.5 h, 3 d, 37 years."""
    if seconds < _MINUTE:
        return "under a minute"
    if seconds < 1.5 * _HOUR:
        return f"about {round(seconds / _MINUTE)} min"
    if seconds < 2 * _DAY:
        return f"about {seconds / _HOUR:.2g} h"
    number, unit = (seconds / _DAY, "d") if seconds < 2 * _YEAR else (seconds / _YEAR, "years")
    return f"about {number:.2g} {unit}" if number < 99.5 else f"about {number:,.0f} {unit}"  # noqa: PLR2004


def moment(seconds: float) -> str:
    """Format seconds since 1970 as a local date and time."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M}" if seconds else ""
