"""Exact and simple tests at 5 % in plain Python, because reports and tables must not load numpy."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

LEVEL = 0.05
_Pair = TypeVar("_Pair", bound=Hashable)
_NEGLIGIBLE = 1e-18  # terms of a tail relative to its largest one


def above(right: int, images: int, share: float) -> float:
    """Return the p value of at least `right` of `images` if each is right with probability `share`: exact binomial."""
    if right <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    # Sum the tail whose terms only shrink, because the first term of the other one may underflow.
    if right <= images * share:
        return max(0.0, 1.0 - _tail(images - right + 1, images, 1 - share))
    return min(1.0, _tail(right, images, share))


def _tail(first: int, number: int, share: float) -> float:
    """Return the binomial probability of `first` or more."""
    term = math.exp(
        math.lgamma(number + 1)
        - math.lgamma(first + 1)
        - math.lgamma(number - first + 1)
        + first * math.log(share)
        + (number - first) * math.log1p(-share)
    )
    total = largest = term
    for at in range(first, number):
        term *= (number - at) / (at + 1) * share / (1 - share)
        total += term
        if term < largest * _NEGLIGIBLE:
            break
    return total


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the two-sided p value of McNemar's exact test (1947) for two networks on the same images.

    `first_only`, `second_only`: images that only this network classifies correctly. Images on which both agree say
    nothing about the difference.
    """
    return min(1.0, 2 * above(max(first_only, second_only), first_only + second_only, 0.5))


def two_shares(first: float, second: float, images: tuple[int, int]) -> float:
    """Return the two-sided p value that two shares of different images are equal: the pooled two-proportion z test."""
    together = (first * images[0] + second * images[1]) / sum(images)
    error = math.sqrt(max(0.0, together * (1 - together)) * (1 / images[0] + 1 / images[1]))
    if error == 0:
        return 1.0
    return math.erfc(abs(first - second) / error / math.sqrt(2))


def holm(raw: Mapping[_Pair, float]) -> dict[_Pair, float]:
    """Return p values corrected by Holm (1979): the k-th smallest of m times m - k + 1, none below a smaller one."""
    corrected: dict[_Pair, float] = {}
    highest = 0.0
    for done, (pair, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p * (len(raw) - done)))
        corrected[pair] = highest
    return corrected
