"""Lengths of training in epochs: integers where they are whole, otherwise rounded to hundredths."""

from __future__ import annotations

import math
from collections.abc import Iterable

HUNDREDTHS = 100


def in_epochs(value: float) -> float:
    """Return a number of epochs to the hundredth; an integer where it is whole, so that it prints as one."""
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded


def in_total(values: Iterable[float]) -> float:
    """Return a sum of numbers of epochs."""
    return in_epochs(math.fsum(values))


def validations(start: float, end: float) -> list[float]:
    """Return the epochs after which training from `start` to `end` is validated: whole ones, and the end."""
    return [*range(math.floor(start) + 1, math.ceil(end)), *([end] if end > start else [])]
