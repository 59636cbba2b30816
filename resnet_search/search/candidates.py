"""Which candidate a draw means: a function of (seed, iteration, bracket, slot, replacement), not of timing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from resnet_search.networks.architecture import Architecture
from resnet_search.search.schedule import Draw
from resnet_search.spaces.brackets import Bracket
from resnet_search.spaces.space import SearchSpace


@dataclass(frozen=True, slots=True)
class Candidate:
    """An architecture of the space and the recipe values that vary."""

    architecture: Architecture
    recipe: tuple[tuple[str, Any], ...]

    @property
    def key(self) -> str:
        """The same for the same candidate, in every run."""
        return ";".join([self.architecture.name, *(f"{name}={value!r}" for name, value in self.recipe)])

    def seed(self, seed: int) -> int:
        """The seed of its weights, data order and augmentation in a run of seed `seed`: 31 bits."""
        return int.from_bytes(hashlib.sha256(f"{seed};{self.key}".encode()).digest()[:4]) >> 1


class Candidates:
    """Draws without repetition inside an iteration as long as the space has architectures left.

    Each iteration goes through the architectures in a shuffled order of its own: the planned slots of its brackets have
    the first places, replacements the ones behind. A space smaller than an iteration is gone through again.
    """

    def __init__(
        self, space: SearchSpace, architectures: tuple[Architecture, ...], brackets: Iterable[Bracket], seed: int
    ) -> None:
        self._space, self._architectures, self._seed = space, architectures, seed
        self._orders: dict[int, list[Architecture]] = {}
        self._planned: dict[int, int] = {}  # Slots of first rungs, by iteration.
        for bracket in brackets:
            self._planned[bracket.iteration] = max(
                self._planned.get(bracket.iteration, 0), bracket.offset + bracket.draws
            )

    def draw(self, draw: Draw, in_bracket: set[Architecture], in_iteration: set[Architecture]) -> Candidate | None:
        """The candidate of a draw, None if none is left for its bracket.

        `in_bracket` and `in_iteration`: architectures drawn there, or failed anywhere. Where recipe values vary, the
        same architecture with other values is another candidate, and none of this matters.
        """
        recipe = self._recipe(draw)
        for place, unwanted in self._places(draw, in_bracket, in_iteration):
            architecture = self._order(draw.bracket.iteration)[place]
            if self._space.recipe_varies or architecture not in unwanted:
                return Candidate(architecture, recipe)
        return None

    def _places(
        self, draw: Draw, in_bracket: set[Architecture], in_iteration: set[Architecture]
    ) -> Iterator[tuple[int, set[Architecture]]]:
        """Places of the order to try, and what may not stand there."""
        count, planned = len(self._architectures), self._planned[draw.bracket.iteration]
        slot, spare = draw.bracket.offset + draw.slot, count - planned
        if draw.replacement == 0:
            yield slot % count, in_bracket
        elif spare > 0:
            first = slot + (draw.replacement - 1) * planned
            for step in range(spare):
                yield planned + (first + step) % spare, in_iteration
        for step in range(1, count + 1):
            yield (slot + step) % count, in_iteration
        for step in range(1, count + 1):
            yield (slot + step) % count, in_bracket

    def _order(self, iteration: int) -> list[Architecture]:
        if iteration not in self._orders:
            order = list(self._architectures)
            random.Random(f"architectures;{self._seed};{iteration}").shuffle(order)
            self._orders[iteration] = order
        return self._orders[iteration]

    def _recipe(self, draw: Draw) -> tuple[tuple[str, Any], ...]:
        bracket = draw.bracket
        key = f"recipe;{self._seed};{bracket.iteration};{bracket.number};{draw.slot};{draw.replacement}"
        return tuple(sorted(self._space.draw_recipe(random.Random(key)).items()))
