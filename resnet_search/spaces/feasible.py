"""The architectures of a space that are inside its limits, by arithmetic alone: no network is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from resnet_search.errors import ArchitectureError, SpaceError
from resnet_search.networks.architecture import STAGES, Architecture, layers_per_block, nearest_depths
from resnet_search.networks.complexity import Complexity, complexity
from resnet_search.spaces.schema import BLOCKS_WITH, Axes, Limits

# 3 s of one core and 80 MB (measured on 118,400 feasible of 192,000): a plan that takes more is a surprise.
CAP = 200_000


@dataclass(frozen=True, slots=True)
class Feasible:
    """What a space holds.

    `architectures` are in an order that depends on the values of the axes alone, not on how the file lists them, and
    none is there twice; `costs` are theirs, in the same order; `excluded` counts the others by reason.
    """

    architectures: tuple[Architecture, ...]
    costs: tuple[Complexity, ...]
    excluded: dict[str, int]

    @property
    def total(self) -> int:
        """Architectures looked at, inside the limits or not."""
        return len(self.architectures) + sum(self.excluded.values())


def enumerate_feasible(
    axes: Axes, limits: Limits, input_shape: tuple[int, int, int], classes: int, where: str
) -> Feasible:
    """Every architecture of `axes` inside `limits`; `SpaceError` for `where` if there is none, or more than `CAP`."""
    points = sum(len(axes.n or axes.depth) * prod(map(len, _others(axes, block).values())) for block in axes.block)
    if points > CAP:
        raise SpaceError(
            where,
            [f"[axes]: got {points:,} combinations; allowed: at most {CAP:,}"],
            "Give the axes fewer values, or split the space into several files.",
        )
    found: dict[Architecture, Complexity] = {}
    excluded: Counter[str] = Counter()
    too_large: list[Complexity] = []
    for block in sorted(axes.block):
        for values in _points(axes, block, excluded):
            try:
                architecture = Architecture.from_axes(block=block, **values)
            except ArchitectureError as error:
                excluded[error.rule] += 1
                continue
            cost = complexity(architecture, input_shape, classes)
            if limits.max_params is not None and cost.trainable > limits.max_params:
                excluded[f"more than {limits.max_params:,} parameters"] += 1
                too_large.append(cost)
            elif limits.max_macs is not None and cost.macs > limits.max_macs:
                excluded[f"more than {limits.max_macs:,} multiply-adds"] += 1
                too_large.append(cost)
            else:
                found[architecture] = cost
    if not found:
        raise _nothing(where, excluded, too_large)
    return Feasible(tuple(found), tuple(found.values()), dict(excluded))


def _others(axes: Axes, block: str) -> dict[str, list[Any]]:
    """The axes beside n and depth that mean something for `block`, and their values in order."""
    given = {name: getattr(axes, name) for name, blocks in BLOCKS_WITH.items() if block in blocks}
    return {name: sorted(values) for name, values in {"width": axes.width, **given}.items() if values}


def _points(axes: Axes, block: str, excluded: Counter[str]) -> Iterator[dict[str, Any]]:
    """The axes' values for each network of a block, smallest sizes first; depths that fit no n are counted."""
    others = _others(axes, block)
    rest = [dict(zip(others, values, strict=True)) for values in product(*others.values())]
    for n in sorted(axes.n):
        yield from ({"n": n, **values} for values in rest)
    for depth in sorted(axes.depth):
        if depth in nearest_depths(block, depth):
            yield from ({"depth": depth, **values} for values in rest)
        else:
            step = layers_per_block(block) * STAGES
            lowest = nearest_depths(block, 1)[0]
            excluded[f"depth {depth} fits no {block} ({step}n+{lowest - step})"] += len(rest)


def _nothing(where: str, excluded: Counter[str], too_large: list[Complexity]) -> SpaceError:
    counts = "; ".join(f"{count:,} excluded: {reason}" for reason, count in excluded.most_common())
    message = f"no architecture is feasible: {counts}"
    if not too_large:
        return SpaceError(where, [message], "Give the axes values that fit each other.")
    params = min(cost.trainable for cost in too_large)
    macs = min(cost.macs for cost in too_large)
    message += f"; the smallest has {params:,} parameters, the cheapest {macs:,} multiply-adds"
    return SpaceError(where, [message], "Raise [limits] max_params or max_macs, or give the axes smaller values.")
