"""Numbers as the report writes them, each with its unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_KWH = 3.6e6  # joules
_KILO = 1000
_BARS = "▁▂▃▄▅▆▇█"


def counted(number: float, noun: str) -> str:
    """1 trial, 1,234 trials, 0.33 epochs."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(share: float | None, digits: int = 2) -> str:
    """Write a share between 0 and 1 as a percentage."""
    return "" if share is None else f"{share * 100:.{digits}f} %"


def spread(low: float, high: float) -> str:
    """Write an interval of shares: 40.00 to 60.00 %."""
    return f"{low * 100:.2f} to {high * 100:.2f} %"


def points(difference: float) -> str:
    """Write a difference of two shares: 1.20 percentage points."""
    return f"{difference * 100:.2f} percentage points"


def accuracy(share: float, images: int) -> str:
    """Write a share of right answers with its binomial standard error, unless all or none are right."""
    if not 0 < share < 1 or images == 0:
        return percent(share)
    return f"{percent(share)} ± {standard_error(share, images) * 100:.2f} %"


def accuracy_on(share: float, images: int, what: str = "") -> str:
    """Write an accuracy with the images it was measured on, and name its standard error if it has one."""
    named = " (± one standard error)" if 0 < share < 1 and images else ""
    return f"{accuracy(share, images)}{f' {what}' if what else ''} on {counted(images, 'image')}{named}"


def standard_error(share: float, images: int) -> float:
    """Binomial: sqrt(p (1 - p) / n)."""
    return math.sqrt(share * (1 - share) / images)


def large(number: float) -> str:
    """12.3 million."""
    for scale, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= scale:
            return f"{number / scale:.3g} {name}"
    return f"{number:,.0f}"


def about(number: int, *, exact: bool = False) -> str:
    """Write an estimate with three digits (about 1.23 million), or an exact number in full (1,234,567)."""
    return f"{number:,}" if exact else f"about {_rounded(number, 3)}"


def between(low: int, high: int) -> str:
    """Write a range with one more digit than an estimate: 1.194 to 1.213 million."""
    first, last = _rounded(low, 4), _rounded(high, 4)
    unit = last.partition(" ")[2]
    return f"{first.removesuffix(' ' + unit) if unit else first} to {last}"


def _rounded(number: int, digits: int) -> str:
    value = float(f"{number:.{digits}g}")
    for scale, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if scale <= value < 1000 * scale:
            return f"{value / scale:.{digits}g} {name}"
    return f"{value:,.0f}" if value < 10**6 else f"{value:.{digits - 1}e}"


def size(number: int) -> str:
    """Bytes: 812 bytes, 1.24 MB, 390.66 GB."""
    if number < _KILO:
        return f"{number} bytes"
    if number < _KILO**2:
        return f"{number / 1e3:.3g} kB"
    scale, unit = next(pair for pair in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")) if number >= pair[0])
    return f"{number / scale:,.2f} {unit}"


def duration(seconds: float) -> str:
    """A time: 4.2 s, 48 s, 3 min 12 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 10:  # noqa: PLR2004 - below, tenths matter
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY:,} d {whole % _DAY // _HOUR} h"


def energy(joules: float, largest: float | None = None) -> str:
    """12.3 Wh, 0.456 kWh: in the unit that suits it, or suits `largest` if given."""
    scale, unit = (_KWH, "kWh") if (joules if largest is None else largest) >= _KWH / 10 else (_KWH / 1000, "Wh")
    return f"{joules / scale:,.3g} {unit}"


def moment(seconds: float) -> str:
    """Write seconds since 1970 as date and time in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def sparkline(values: Sequence[float], width: int = 60, span: tuple[float, float] | None = None) -> str:
    """Draw a curve in one line; a longer one shows the last value of each stretch.

    `span`: the values of the lowest and the highest bar, by default those of this curve.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    shown = values if len(values) <= width else [values[(at + 1) * len(values) // width - 1] for at in range(width)]
    low, high = span or (min(finite), max(finite))
    step = (high - low) / (len(_BARS) - 1)
    return "".join(
        "·" if not math.isfinite(value) else _BARS[round((value - low) / step) if step else 3] for value in shown
    )


def thinned(length: int, most: int) -> list[int]:
    """Return up to `most` positions spread evenly over `length`, including the first and the last."""
    if length <= most:
        return list(range(length))
    return [round(at * (length - 1) / (most - 1)) for at in range(most)]
