"""What a search will do, before it does anything: brackets, candidates and the total cost, by arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from resnet_search.errors import SpaceError
from resnet_search.spaces.brackets import Bracket, Rung, finalists_until, grid, hyperband
from resnet_search.spaces.feasible import CAP, Feasible
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.length import in_total, validations


@dataclass(frozen=True, slots=True)
class Plan:
    """The brackets of a search over the feasible architectures of its space.

    `distinct`: how many different candidates there are, None for no limit. A candidate that is drawn again
    continues its earlier trial or takes its score, so trials and epochs are upper limits.

    `asynchronous`: trials are promoted as soon as they are among the best so far, so rungs may become larger.

    `final_epochs`: of the training that follows the search, None if none does. `factor`: the number of its finalists.
    """

    method: str
    feasible: Feasible
    brackets: tuple[Bracket, ...]
    distinct: int | None
    asynchronous: bool = False
    final_epochs: int | None = None
    factor: int = 1

    @property
    def finalists(self) -> int:
        """Candidates that are trained beyond the search; 0 without a final training."""
        return min(self.factor, self.candidates) if self.final_epochs is not None else 0

    @property
    def finalists_until(self) -> int:
        """The epoch to which all of them are trained; 0 without a final training."""
        longest = self.brackets[-1].rungs[-1].epochs
        return finalists_until(longest, self.final_epochs, self.finalists) if self.final_epochs is not None else 0

    @property
    def epochs_after(self) -> float:
        """Epochs of the final training, beyond those of the search."""
        if self.final_epochs is None:
            return 0
        longest, until = self.brackets[-1].rungs[-1].epochs, self.finalists_until
        return in_total((self.finalists * (until - longest), self.final_epochs - until))

    @property
    def trials(self) -> int:
        return sum(bracket.trials for bracket in self.brackets)

    @property
    def candidates(self) -> int:
        """Different candidates, at most: draws of all first rungs, or all that there are."""
        return self._draws if self.distinct is None else min(self._draws, self.distinct)

    @property
    def draws_again(self) -> bool:
        """Whether a candidate may be drawn twice: in a space smaller than the plan, or in different iterations."""
        return self.distinct is not None and (self._draws > self.distinct or self.brackets[-1].iteration > 0)

    @property
    def _draws(self) -> int:
        return sum(bracket.draws for bracket in self.brackets)

    @property
    def epochs(self) -> float:
        """Epochs of training in all trials."""
        return in_total(bracket.epochs for bracket in self.brackets)

    @property
    def validations(self) -> int:
        """Validations of all trials."""
        return sum(bracket.validations for bracket in self.brackets)

    @property
    def most_trials(self) -> int:
        """Trials at worst: asynchronously, each draw may be the best so far in every rung when it ends."""
        return sum(
            bracket.draws * len(bracket.rungs) if self.asynchronous else bracket.trials for bracket in self.brackets
        )

    @property
    def most_epochs(self) -> float:
        """Epochs of these."""
        return in_total(
            bracket.draws * bracket.rungs[-1].epochs if self.asynchronous else bracket.epochs
            for bracket in self.brackets
        )

    @property
    def full_epochs(self) -> float:
        """Epochs that training every candidate to the end would take."""
        return self.candidates * self.brackets[-1].rungs[-1].epochs

    @property
    def mean_macs(self) -> float:
        """Multiply-adds of one image's forward pass, averaged over the feasible architectures that are known."""
        return sum(cost.macs for cost in self.feasible.costs) / len(self.feasible.costs)

    def final_dict(self) -> dict[str, Any] | None:
        """The final training, JSON-able."""
        if self.final_epochs is None:
            return None
        return {
            "finalists": self.finalists,
            "finalists_until": self.finalists_until,
            "epochs": self.final_epochs,
            "more_epochs": self.epochs_after,
        }

    def to_list(self) -> list[dict[str, Any]]:
        """The brackets, JSON-able."""
        return [asdict(bracket) for bracket in self.brackets]


def make_plan(
    space: SearchSpace, input_shape: tuple[int, int, int] | None = None, classes: int = 10, *, count: bool = False
) -> Plan:
    """The plan of a space; `SpaceError` if nothing in it is feasible, or it is too large for a grid.

    `count`: look at every point of a large space instead of estimating, however long that takes.
    """
    feasible = space.feasible(input_shape, classes)
    if count:
        feasible = feasible.counted()
    settings = space.hyperband
    if space.method == "grid":
        if feasible.total > CAP:
            mistake = f"[axes]: got {feasible.total:,} combinations; allowed: at most {CAP:,} with method grid"
            raise SpaceError(space.name, [mistake], 'Give the axes fewer values, or search with method "hyperband".')
        return Plan(space.method, feasible, grid(settings.max_epochs, feasible.count), feasible.count)
    # A recipe that varies makes more candidates than there are architectures.
    limit = None if space.recipe_varies else feasible.count
    brackets = hyperband(
        settings.max_epochs, settings.factor, settings.iterations, limit, min_epochs=settings.min_epochs
    )
    final = settings.final_epochs if settings.has_final else None
    return Plan(space.method, feasible, brackets, limit, settings.promotion == "async", final, settings.factor)


def check_steps(space: SearchSpace, plan: Plan, images: int, batch: int) -> None:
    """Raise `SpaceError` if a trial of a plan would take no step of `batch` images; an epoch has `images`."""
    steps = max(1, images // batch)
    if not _has_steps(plan.brackets, steps):
        settings = space.hyperband
        hundredths = (number / 100 for number in range(math.ceil(100 * settings.min_epochs), 100))
        least = next(
            (
                least
                for least in hundredths
                if _has_steps(hyperband(settings.max_epochs, settings.factor, 1, min_epochs=least), steps)
            ),
            1,
        )
        wrong = (
            f"[hyperband] min_epochs: got {settings.min_epochs}; allowed: at least {least:g}, because "
            f"an epoch of {images:,} training images has only {steps:,} step{'s' * (steps != 1)} of {batch:,} images"
        )
        raise SpaceError(space.name, [wrong], "Use --min-epochs 1 or a smaller batch size.")


def _has_steps(brackets: Iterable[Bracket], steps: int) -> bool:
    """Return whether training takes a step between any two validations, with so many `steps` an epoch."""
    return all(
        round(start * steps) < round(end * steps)
        for bracket in brackets
        for rung in bracket.rungs
        for start, end in pairwise([rung.initial_epoch, *validations(rung.initial_epoch, rung.epochs)])
    )


def brackets_from(plan: list[dict[str, Any]]) -> tuple[Bracket, ...]:
    """The brackets that `Plan.to_list` wrote."""
    return tuple(
        Bracket(b["iteration"], b["number"], b["offset"], tuple(Rung(**rung) for rung in b["rungs"])) for b in plan
    )
