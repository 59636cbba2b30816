"""Numbers on the command line."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

_INTEGER = re.compile(r"(-?(?:\d+|\d{1,3}(?:_\d{3})+|\d+\.\d+(?=[kMmGg])))([kKmMgG]?)", re.ASCII)
_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_LONGEST_NUMBER = 20  # characters, within the precision of Decimal


def integer(text: str) -> int | None:
    """Return the integer that a text stands for: digits, in groups of three if with underscores, or with k, M or G."""
    found = _INTEGER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if found is None:
        return None
    number = Decimal(found[1].replace("_", "")) * _SUFFIXES[(found[2] or "").lower()]
    return int(number) if number == int(number) else None


def number(value: Any) -> Any:
    """Parse an integer or a finite float, or return the text."""
    whole = integer(str(value))
    if whole is not None:
        return whole
    try:
        real = float(value)
    except (TypeError, ValueError):
        return value
    return real if math.isfinite(real) and "_" not in str(value) else value
