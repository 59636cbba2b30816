"""Sort keys for the cells of a table: the number at the start of a text, in its unit."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\s*[+]?(-?[\d,]*\.?\d+(?:e[+-]?\d+)?)\s*([A-Za-z%]*)", re.IGNORECASE)
_TIME = re.compile(r"(\d[\d,]*\.?\d*)\s*(d|h|min|s)(?![A-Za-z])")
_SECONDS = {"d": 86_400.0, "h": 3600.0, "min": 60.0, "s": 1.0}
_SCALES = {
    "million": 1e6, "billion": 1e9, "trillion": 1e12,
    "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
}  # fmt: skip


def sort_value(text: str) -> float | None:
    """Return the number at the start of a cell, as `report.units` writes it; None if there is none."""
    times = _TIME.findall(text)
    if times and _TIME.match(text.strip()):
        return sum(float(number.replace(",", "")) * _SECONDS[unit] for number, unit in times)
    found = _NUMBER.match(text)
    if found is None:
        return None
    return float(found[1].replace(",", "")) * _SCALES.get(found[2].lower(), 1.0)
