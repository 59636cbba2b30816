"""The architectures of a space that are inside its limits, by arithmetic alone: no network is built.

Up to `CAP` points they are listed. A larger space is counted by a sample of its points, and drawn from by rejection.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

from resnet_search.errors import ArchitectureError, SpaceError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import Complexity, complexity
from resnet_search.spaces.permutation import Permutation
from resnet_search.spaces.points import Points
from resnet_search.spaces.schema import Axes, Limits

# 7 s of one core and 180 MB at most (measured: 5.5 s and 136 MB for 148,800): a plan that takes more is a surprise.
CAP = 200_000
# 1 to 3 s; a share of a half is then known to 0.7 points, and one of a hundredth to 0.14 (95 %).
SAMPLE = 20_000
# The search for points stops after so many in a row without a feasible one: 10 samples, and one of them had one.
TRIES = 10 * SAMPLE
# Points of different cost that are looked at in a second, on a slow core.
PACE = 25_000

Seen: TypeAlias = tuple[Architecture, Complexity]


@dataclass(frozen=True, slots=True)
class Feasible:
    """What a space holds.

    `architectures`: all that are feasible, each once, in an order that depends on the values of the axes and
    not on how the file lists them; `costs`: theirs. `count`: how many there are, with its `interval` at 95 %, and
    `exact` if it is no estimate. `excluded` counts the other points of `total` by reason, `explained` has, for a rule
    that some of them break, what it says of the first.
    """

    architectures: tuple[Architecture, ...]
    costs: tuple[Complexity, ...]
    excluded: dict[str, int]
    explained: dict[str, str]
    total: int
    count: int
    interval: tuple[int, int]
    exact: bool = True

    def order(self, key: str, least: int) -> list[Architecture]:  # noqa: ARG002 - it lists all
        """The architectures in a random order that follows from `key`: all, or `least` of those of a large space."""
        order = list(self.architectures)
        random.Random(key).shuffle(order)
        return order

    def to_dict(self) -> dict[str, Any]:
        """Return what a run records about it, JSON-able."""
        return {
            "architectures": self.count,
            "interval": list(self.interval),
            "exact": self.exact,
            "total": self.total,
            "excluded": self.excluded,
        }

    @property
    def counting_seconds(self) -> float:
        """About what `counted` takes."""
        return 0.0

    def counted(self) -> Feasible:
        """The same, with no estimate in it."""
        return self


@dataclass(frozen=True, slots=True)
class Sampled(Feasible):
    """What a large space holds: `architectures` are those of a sample, and `count` and `excluded` follow from it."""

    survey: Survey = field(kw_only=True, compare=False)

    def order(self, key: str, least: int) -> list[Architecture]:
        """`least` feasible architectures at random; where `TRIES` points have none, the sample's instead."""
        survey, missed = self.survey.again(), 0
        found: dict[Architecture, None] = {}
        permutation = Permutation(self.total, key)
        for place in range(self.total):
            seen = survey.look(permutation[place])
            missed = 0 if seen else missed + 1
            if seen:
                found[seen[0]] = None
            if len(found) == least or missed == TRIES:
                break
        return list(found | dict.fromkeys(self.architectures))[:least]

    @property
    def counting_seconds(self) -> float:
        """About what `counted` takes."""
        return self.survey.points.kinds / PACE

    def counted(self) -> Feasible:
        """The same, after a look at every point; of points that cost the same, at one."""
        survey = self.survey.again()
        count = sum(len(alike) for alike in survey.points.classes() if survey.look(alike[0], len(alike)))
        excluded, explained = dict(survey.excluded), survey.explained
        return replace(self, excluded=excluded, explained=explained, count=count, interval=(count, count), exact=True)


class Survey:
    """Looks at points, and keeps count of those that are excluded, by reason."""

    def __init__(self, points: Points, limits: Limits, input_shape: tuple[int, int, int], classes: int) -> None:
        self.points, self._limits = points, limits
        self._images = (input_shape, classes)
        self.excluded: Counter[str] = Counter()
        self.explained: dict[str, str] = {}
        self.smallest: Complexity | None = None  # of those too large, each count by itself
        self.largest = 0  # parameters of those too small

    def again(self) -> Survey:
        """The same, with nothing counted yet."""
        return Survey(self.points, self._limits, *self._images)

    def look(self, point: int, alike: int = 1) -> Seen | None:
        """The network of a point and its cost; None if it is excluded, which counts for all `alike` points."""
        try:
            architecture = self.points.architecture(point)
        except ArchitectureError as error:
            self.excluded[error.rule] += alike
            self.explained.setdefault(error.rule, error.message)
            return None
        cost = complexity(architecture, *self._images)
        reason = self._limits.exceeded(cost.trainable, cost.macs)
        if not reason:
            return architecture, cost
        self.excluded[reason] += alike
        if cost.trainable < (self._limits.min_params or 0):
            self.largest = max(self.largest, cost.trainable)
            return None
        least = self.smallest or cost
        self.smallest = replace(least, trainable=min(least.trainable, cost.trainable), macs=min(least.macs, cost.macs))
        return None


# A search asks again for the same: before and after it reads its images, in its oracle, and on a resume.
@lru_cache(maxsize=4)
def find_feasible(axes: Axes, limits: Limits, input_shape: tuple[int, int, int], classes: int, where: str) -> Feasible:
    """The architectures of `axes` inside `limits`; `SpaceError` for `where` if none is found."""
    points = Points(axes)
    survey = Survey(points, limits, input_shape, classes)
    found = _listed(survey) if points.total <= CAP else _sampled(survey)
    if not found:
        raise _nothing(f"space {where}", survey, points.total)
    seen = [found[point] for point in sorted(found)]
    architectures, costs = tuple(architecture for architecture, _ in seen), tuple(cost for _, cost in seen)
    excluded, total, count = dict(survey.excluded), points.total, len(found)
    if total <= CAP:
        return Feasible(architectures, costs, excluded, survey.explained, total, count, (count, count))
    scaled = {reason: round(number / SAMPLE * total) for reason, number in excluded.items()}
    low, high = (round(share * total) for share in wilson(count, SAMPLE))
    count = round(count / SAMPLE * total)
    return Sampled(
        architectures, costs, scaled, survey.explained, total, count, (low, high), exact=False, survey=survey
    )


def _listed(survey: Survey) -> dict[int, Seen]:
    found: dict[int, Seen] = {}
    for alike in survey.points.classes():
        seen = survey.look(alike[0], len(alike))
        if seen:
            found[alike[0]] = seen
            found |= {point: (survey.points.architecture(point), seen[1]) for point in alike[1:]}
    return found


def _sampled(survey: Survey) -> dict[int, Seen]:
    permutation = Permutation(survey.points.total, "sample")
    seen = {point: survey.look(point) for point in map(permutation.__getitem__, range(SAMPLE))}
    return {point: found for point, found in seen.items() if found}


def wilson(hits: int, size: int) -> tuple[float, float]:
    """The score interval of a share, at 95 %: Wilson 1927."""
    z = 1.959964
    middle, spread = hits + z**2 / 2, z * math.sqrt(hits * (size - hits) / size + z**2 / 4)
    return max(0.0, (middle - spread) / (size + z**2)), min(1.0, (middle + spread) / (size + z**2))


def _nothing(where: str, survey: Survey, total: int) -> SpaceError:
    reasons = [
        f"{count:,} excluded: {reason}" + (f" ({survey.explained[reason]})" if reason in survey.explained else "")
        for reason, count in survey.excluded.most_common()
    ]
    what = "no architecture" if total <= CAP else f"none of {SAMPLE:,} architectures drawn at random from {total:,}"
    message = f"{what} is feasible: {'; '.join(reasons)}"
    least = survey.smallest
    if least is None and not survey.largest:
        return SpaceError(where, [message], "Give the axes values that fit each other.")
    if survey.largest:
        message += f"; of those too small, the largest has {survey.largest:,} parameters"
    if least is not None:
        others = " of the others" if survey.largest else ""
        message += (
            f"; the smallest{others} has {least.trainable:,} parameters, the cheapest {least.macs:,} multiply-adds"
        )
    return SpaceError(where, [message], "Change the [limits], or give the axes other values.")
