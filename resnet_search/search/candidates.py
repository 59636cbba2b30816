"""Which candidate a draw yields: it depends on (seed, iteration, bracket, slot, replacement), never on timing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from resnet_search.networks.architecture import Architecture
from resnet_search.search.schedule import Draw
from resnet_search.spaces.brackets import Bracket
from resnet_search.spaces.feasible import Feasible
from resnet_search.spaces.space import SearchSpace


@dataclass(frozen=True, slots=True)
class Candidate:
    """An architecture of the space and the recipe values that vary.

    `repeat`: 0, or the number of one of several trainings from scratch with different seeds.
    """

    architecture: Architecture
    recipe: tuple[tuple[str, Any], ...]
    repeat: int = 0

    @property
    def key(self) -> str:
        """A text that identifies the candidate in every run."""
        repeat = [f"repeat={self.repeat}"] if self.repeat else []
        return ";".join([self.architecture.name, *(f"{name}={value!r}" for name, value in self.recipe), *repeat])

    def seed(self, seed: int) -> int:
        """Return the 31-bit seed of its weights, data order and augmentation in a run with seed `seed`."""
        return int.from_bytes(hashlib.sha256(f"{seed};{self.key}".encode()).digest()[:4]) >> 1


class Numbered:
    """Candidates and their numbers, in the order in which they first appear; a repaired run has gaps."""

    def __init__(self) -> None:
        self._candidates: dict[int, Candidate] = {}
        self._numbers: dict[Candidate, int] = {}
        self._next = 0

    def __getitem__(self, number: int) -> Candidate:
        return self._candidates[number]

    def number(self, candidate: Candidate) -> int:
        """Return the number of a candidate; a new one gets the next number."""
        if candidate not in self._numbers:
            self.add(self._next, candidate)
        return self._numbers[candidate]

    def known(self, candidate: Candidate) -> int | None:
        """Return the number of a candidate; None if it has none yet."""
        return self._numbers.get(candidate)

    def add(self, number: int, candidate: Candidate) -> None:
        """Add a candidate with its number."""
        self._candidates[number] = candidate
        self._numbers.setdefault(candidate, number)
        self._next = max(self._next, number + 1)


class Candidates:
    """Draws candidates, without repetition inside an iteration while the space has architectures left.

    Each iteration shuffles the architectures: the planned slots of its brackets take the first places, replacements the
    places after them. If the space is smaller than an iteration, the order repeats; if it is too large to list, the
    order has as many places for replacements as for planned slots. A grid is not shuffled.
    """

    def __init__(self, space: SearchSpace, feasible: Feasible, brackets: Iterable[Bracket], seed: int) -> None:
        self._space, self._feasible, self._seed = space, feasible, seed
        self._orders: dict[int, Sequence[Architecture]] = {}
        # Slots of first rungs, by iteration: the end of its last bracket.
        self._planned = {bracket.iteration: bracket.offset + bracket.draws for bracket in brackets}

    def draw(self, draw: Draw, in_bracket: set[Architecture], in_iteration: set[Architecture]) -> Candidate | None:
        """Return the candidate of a draw; None if none is left for its bracket.

        `in_bracket` and `in_iteration`: architectures drawn there before; they only matter to replacements. If recipe
        values vary, neither matters, since the same architecture with other values is another candidate.
        """
        recipe = self._recipe(draw)
        for place, unwanted in self._places(draw, in_bracket, in_iteration):
            architecture = self._at(draw.bracket, place)
            if self._space.recipe_varies or architecture not in unwanted:
                return Candidate(architecture, recipe)
        return None

    def planned(self, draw: Draw) -> Architecture:
        """Return the architecture planned for the slot of a draw, before any failure."""
        return self._at(draw.bracket, draw.bracket.offset + draw.slot)

    def _places(
        self, draw: Draw, in_bracket: set[Architecture], in_iteration: set[Architecture]
    ) -> Iterator[tuple[int, set[Architecture]]]:
        """Return the places of the order to try, and the architectures to skip."""
        count, planned = len(self.order(draw.bracket.iteration)), self._planned[draw.bracket.iteration]
        slot, spare = draw.bracket.offset + draw.slot, count - planned
        if draw.replacement == 0:
            yield slot, set()
            return
        first = slot + (draw.replacement - 1) * planned
        for step in range(spare):
            yield planned + (first + step) % spare, in_iteration
        # A planned draw keeps its architecture, even if a replacement drew that before.
        own = {self._at(draw.bracket, draw.bracket.offset + other) for other in range(draw.bracket.draws)}
        # The whole order: if the recipe varies, the same architecture may appear again with other values.
        for step in range(1, count + 1):
            yield slot + step, in_bracket | own

    def _at(self, bracket: Bracket, place: int) -> Architecture:
        order = self.order(bracket.iteration)
        return order[place % len(order)]

    def order(self, iteration: int) -> Sequence[Architecture]:
        """Return the architectures in the order in which an iteration draws them."""
        if self._space.method == "grid":
            return self._feasible.architectures
        if iteration not in self._orders:
            key = f"architectures;{self._seed};{iteration}"
            self._orders[iteration] = self._feasible.order(key, least=2 * self._planned[iteration])
        return self._orders[iteration]

    def _recipe(self, draw: Draw) -> tuple[tuple[str, Any], ...]:
        bracket = draw.bracket
        key = f"recipe;{self._seed};{bracket.iteration};{bracket.number};{draw.slot};{draw.replacement}"
        return tuple(self._space.draw_recipe(random.Random(key)).items())
