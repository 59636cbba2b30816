"""What is trained for how long: iterations of brackets, brackets of rungs.

Li et al. 2018, "Hyperband", algorithm 1, with the sizes of `keras_tuner.Hyperband`: a bracket of number b starts with
ceil(ends / (b + 1) * factor^b) candidates, `ends` being the size of bracket 0, and each rung keeps one in `factor`.
Brackets whose first rung would be shorter than `min_epochs` are left out; the others stay as they are. Rungs end after
whole epochs, rounded up as in Keras Tuner. Rungs that end inside the first epoch are rounded to hundredths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from resnet_search.training.length import in_epochs, in_total, validations


@dataclass(frozen=True, slots=True)
class Rung:
    """`size` candidates trained from epoch `initial_epoch` to epoch `epochs` (absolute; see `training.length`)."""

    index: int
    size: int
    initial_epoch: float
    epochs: float


@dataclass(frozen=True, slots=True)
class Bracket:
    """One successive halving. `offset` is the number of candidates that earlier brackets of its iteration draw."""

    iteration: int
    number: int
    offset: int
    rungs: tuple[Rung, ...]

    @property
    def draws(self) -> int:
        """Candidates it starts with."""
        return self.rungs[0].size

    @property
    def trials(self) -> int:
        """Trials of all its rungs."""
        return sum(rung.size for rung in self.rungs)

    @property
    def epochs(self) -> float:
        """Epochs of training in all its rungs."""
        return in_total(rung.size * (rung.epochs - rung.initial_epoch) for rung in self.rungs)

    @property
    def validations(self) -> int:
        """Validations of its trials."""
        return sum(rung.size * len(validations(rung.initial_epoch, rung.epochs)) for rung in self.rungs)


def hyperband(
    max_epochs: int, factor: int, iterations: int, candidates: int | None = None, *, min_epochs: float = 1
) -> tuple[Bracket, ...]:
    """The brackets in the order they start, the most aggressive of an iteration first.

    `candidates`: how many different ones there are, None for no limit. A bracket cannot start with more; a space that
    is smaller than the plan shrinks first rungs, and halving continues.
    `min_epochs`: at most `max_epochs`.
    """
    count = _bracket_count(max_epochs, factor, min_epochs)
    # As Keras Tuner computes it; its logarithm is a float, so the sizes are the same only if this one is too.
    ends = math.ceil(1 + math.log(max_epochs, factor))
    plan = []
    for iteration in range(iterations):
        offset = 0
        for number in reversed(range(count)):
            draws = math.ceil(ends / (number + 1) * factor**number)
            bracket = Bracket(
                iteration, number, offset, _rungs(min(draws, candidates or draws), max_epochs, factor, number)
            )
            plan.append(bracket)
            offset += bracket.draws
    return tuple(plan)


def grid(max_epochs: int, candidates: int) -> tuple[Bracket, ...]:
    """Every candidate from the start to the end: one bracket of one rung."""
    return (Bracket(0, 0, 0, (Rung(0, candidates, 0, max_epochs),)),)


def finalists_until(now: float, end: int, finalists: int) -> int:
    """Return the epoch to which all finalists are trained before the best of them alone is trained to epoch `end`.

    `now`: the epochs that they have. The finalists that do not win train for a quarter of `end - now` epochs in total.
    """
    more = (end - now) / _FINALISTS_SHARE / max(1, finalists - 1)
    return min(end, math.floor(now + more) + 1)


_FINALISTS_SHARE = 4


def _bracket_count(max_epochs: int, factor: int, min_epochs: float) -> int:
    count = 1
    while min_epochs * factor**count <= max_epochs:
        count += 1
    return count


def _rungs(size: int, max_epochs: int, factor: int, number: int) -> tuple[Rung, ...]:
    rungs = []
    before: float = 0
    for index in range(number + 1):
        exact = max_epochs / factor ** (number - index)
        epochs = math.ceil(exact) if exact >= 1 else in_epochs(exact)
        rungs.append(Rung(index, size, before, epochs))
        size, before = math.ceil(size / factor), epochs
    return tuple(rungs)
