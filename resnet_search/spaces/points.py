"""The points of a space: every combination of its axes, numbered, so that it need not be listed to be drawn from.

A scope is a block with its attention, which decide what the other axes are. In a scope a point is a number whose
digits are the values of those axes (mixed radix, the numbers of blocks leading); the scopes' numbers follow each other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.presets import PRESETS
from resnet_search.spaces.schema import KEYS, SIZES, Axes, has_axis

# These change no cost and, where they mean something, break no rule. They are the last digits of a point.
FREE = ("activation", "dropout", "stochastic_depth", "zero_gamma")


@dataclass(frozen=True, slots=True)
class Scope:
    """`fixed`: block and attention. `digits`: the axes that apply to these, each with the list of its values."""

    fixed: dict[str, str]
    digits: dict[str, tuple[Any, ...]]

    @property
    def points(self) -> int:
        """How many there are."""
        return prod(map(len, self.digits.values()))

    @property
    def alike(self) -> int:
        """How many points stand side by side that have the same cost."""
        return prod(len(values) for axis, values in self.digits.items() if axis in FREE)


class Points:
    """The points of some axes, from 0 to `total` - 1; a point may be no network, or one that no limit allows.

    Their order depends on the values of the axes, not on how the file lists them, except for `models`.
    """

    def __init__(self, axes: Axes) -> None:
        self.scopes = tuple(_scopes(axes))
        self._ends = tuple(accumulate(scope.points for scope in self.scopes))
        self.total = self._ends[-1]

    @property
    def kinds(self) -> int:
        """How many `classes` there are."""
        return sum(scope.points // scope.alike for scope in self.scopes)

    def values(self, point: int) -> dict[str, Any]:
        """The axes of a point by name."""
        number = bisect_right(self._ends, point)
        scope = self.scopes[number]
        rest = point - (self._ends[number] - scope.points)
        values: dict[str, Any] = dict(scope.fixed)
        for axis, digits in reversed(scope.digits.items()):
            rest, digit = divmod(rest, len(digits))
            values[axis] = digits[digit]
        return values

    def architecture(self, point: int) -> Architecture:
        """Return the network of a point; `ArchitectureError` if it breaks a rule."""
        return architecture_of(self.values(point))

    def classes(self) -> Iterator[range]:
        """All points, those together that are feasible or not for the same reason.

        Networks that differ in their numbers of blocks alone follow each other: they are costed as one.
        """
        for scope, end in zip(self.scopes, self._ends, strict=True):
            begin = end - scope.points
            step = scope.points // len(next(iter(scope.digits.values())))
            for first in range(begin, begin + step, scope.alike):
                yield from (range(point, point + scope.alike) for point in range(first, end, step))


def architecture_of(values: dict[str, Any]) -> Architecture:
    """The network that values of the axes make; `ArchitectureError` if they make none."""
    return PRESETS[values["models"]].architecture if "models" in values else Architecture.from_axes(**values)


def values_of(axes: Axes, architecture: Architecture) -> dict[str, Any]:
    """The values of the axes that make an architecture, which `architecture_of` takes.

    Of one that is not of the space, what it has on these axes, whether they have that value or not.
    """
    if axes.models:
        named = (name for name in axes.models if PRESETS[name].architecture == architecture)
        return {"models": next(named, architecture.name)}
    sizes = {"n": architecture.blocks[0], "depth": architecture.depth}
    return {
        axis: sizes.get(axis, getattr(architecture, axis, None))
        for axis in KEYS["axes"]
        if getattr(axes, axis) and has_axis(axis, architecture.block, architecture.attention)
    }


def _scopes(axes: Axes) -> Iterator[Scope]:
    if axes.models:
        yield Scope({}, {"models": axes.models})
        return
    given = {axis: tuple(sorted(getattr(axes, axis))) for axis in (*SIZES, *KEYS["axes"]) if getattr(axes, axis)}
    attentions = given.pop("attention", ())
    for block in given.pop("block"):
        for attention in (attentions if has_axis("attention", block) else ()) or (None,):
            fixed = {"block": block} if attention is None else {"block": block, "attention": attention}
            having = [axis for axis in given if has_axis(axis, block, attention or "none")]
            yield Scope(fixed, {axis: given[axis] for axis in having})
