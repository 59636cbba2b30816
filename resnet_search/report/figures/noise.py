"""Which axes have an effect beyond the noise between candidates, by one stated test at 5 %."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from resnet_search.report.figures.study import Values
from resnet_search.report.significance import LEVEL, holm

TEST = "Kruskal and Wallis's test at 5 %, Holm's correction for the number of axes"
_PARTS = 4  # groups that a number with many values is divided into


def clear_axes(values: Mapping[int, Values], scores: Mapping[int, float]) -> set[str]:
    """Return the axes whose values differ in the ranks of their candidates' scores; both by candidate."""
    axes = {axis for number in scores for axis in values[number]}
    raw = {axis: _p([(values[number][axis], score) for number, score in scores.items() if axis in values[number]])
           for axis in axes}  # fmt: skip
    return {axis for axis, p in holm(raw).items() if p <= LEVEL}


def _p(pairs: Sequence[tuple[Any, float]]) -> float:
    """Return the p value that the scores of all values are alike."""
    from scipy.stats import kruskal

    groups = list(_groups(pairs).values())
    if len(groups) < 2 or len({score for _, score in pairs}) < 2:  # noqa: PLR2004 - two to compare
        return 1.0
    return float(kruskal(*groups).pvalue)


def _groups(pairs: Sequence[tuple[Any, float]]) -> dict[Any, list[float]]:
    distinct = {value for value, _ in pairs}
    parts: dict[Any, list[float]] = {}
    if len(distinct) <= _PARTS or not all(isinstance(value, int | float) for value in distinct):
        for value, score in pairs:
            parts.setdefault(value, []).append(score)
        return parts
    # Each value of a learning rate is drawn once, so quarters of the candidates, in its order, are groups.
    ordered = sorted(value for value, _ in pairs)
    for value, score in pairs:
        parts.setdefault(bisect_left(ordered, value) * _PARTS // len(ordered), []).append(score)
    return parts
