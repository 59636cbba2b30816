"""Decide which trial comes next: successive halving over the brackets of a plan, without any I/O.

Rules, for every bracket:
- A slot of the first rung draws a candidate; if its trial fails, the slot draws a replacement.
- A trial is promoted to the next rung once it is certain to be among the best of its own, whatever scores the open
  trials there get; if it fails in the next rung, the next best takes its place.
- Higher scores are better, those of the last rung do not matter; ties go to the earlier draw.

In an asynchronous bracket a trial is also promoted as soon as it is among the best of those completed so far, in the
proportion of the planned rungs: the rule of ASHA (Li et al. 2020, "A System for Massively Parallel Hyperparameter
Tuning", algorithm 2). Its rungs are as large as planned or larger, each up to the number of draws.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from resnet_search.search.rungs import Entry, RungState, Slots
from resnet_search.spaces.brackets import Bracket, Rung


@dataclass(frozen=True, slots=True)
class Draw:
    """Start a new candidate in slot `slot` of a first rung; `replacement` counts earlier failures there."""

    bracket: Bracket
    slot: int
    replacement: int

    @property
    def rung(self) -> Rung:
        return self.bracket.rungs[0]


@dataclass(frozen=True, slots=True)
class Promote:
    """Promote trial `trial` to rung `rung` of its bracket."""

    bracket: Bracket
    rung: Rung
    trial: str
    slot: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can start before a running trial ends."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Every bracket is complete."""


Step = Draw | Promote | Wait | Finished


class _BracketState:
    """A bracket at its `place` in the plan. `queued`: whether it may have something to start."""

    def __init__(self, place: int, bracket: Bracket, cost: Callable[[Draw], float], *, asynchronous: bool) -> None:
        self.place, self.bracket, self.queued, self._asynchronous = place, bracket, True, asynchronous
        self.failures: Counter[int] = Counter()  # by slot of the first rung
        self.drawn = _Slots()  # slots of the first rung with a candidate, or for which none was left
        self.decided = _Slots()  # of these, those with a score or without a candidate
        first = Slots(bracket.draws, lambda slot: -cost(Draw(bracket, slot, 0)))
        sizes = (bracket.draws if asynchronous else rung.size for rung in bracket.rungs[1:])
        later = (Slots(size, key=float) for size in sizes)  # in the order of their numbers
        self.rungs = [RungState(slots) for slots in (first, *later)]

    def steps(self) -> Iterator[Draw | Promote]:
        """Yield the steps that could start now, by priority."""
        for index in reversed(range(1, len(self.rungs))):
            if self._certain(index) or (self._asynchronous and self._among_the_best(index)):
                best, slot = self.rungs[index - 1].best(), self.rungs[index].slots.first()
                yield Promote(self.bracket, self.bracket.rungs[index], best.trial, slot)
        slots = self.rungs[0].slots
        if slots:
            first = slots.first()
            yield Draw(self.bracket, first, self.failures[first])
            yield from (Draw(self.bracket, slot, self.failures[slot]) for slot in slots.others())

    def _open(self, index: int) -> int:
        """Count the trials of rung `index` that may still complete: running, or not created yet."""
        free = self._free(index)
        if index > 0:
            free = min(free, self.rungs[index - 1].waiting + self._open(index - 1))
        return self.rungs[index].running + free

    def _certain(self, index: int) -> bool:
        """Return whether the best trial below rung `index` belongs in it, whatever scores the open ones get."""
        return self.rungs[index - 1].waiting > 0 and self._open(index - 1) < self._free(index)

    def _among_the_best(self, index: int) -> bool:
        """Return whether the best trial below rung `index` is among the top of those completed there."""
        below, sizes = self.rungs[index - 1], self.bracket.rungs
        top = below.completed * sizes[index].size // sizes[index - 1].size
        return below.waiting > 0 and below.ahead() < top

    def _free(self, index: int) -> int:
        """Count the planned places of rung `index` without a trial."""
        slots = self.rungs[index].slots
        return max(0, self.bracket.rungs[index].size - (slots.size - len(slots)))

    def is_decided(self, index: int) -> bool:
        """Return whether no more scores can come from rung `index`."""
        return self._open(index) == 0

    @property
    def complete(self) -> bool:
        return all(map(self.is_decided, range(len(self.rungs))))


class _Slots:
    """A set of slots of a rung, and the first slot that is missing from it."""

    def __init__(self) -> None:
        self._slots: set[int] = set()
        self.until = 0

    def add(self, slot: int) -> None:
        self._slots.add(slot)
        while self.until in self._slots:
            self._slots.remove(self.until)
            self.until += 1


class Schedule:
    """The state of a search. `next` returns the next step; the other methods record what happened.

    `cost`: cost of training the candidate of a planned draw, in any unit. Of the free slots of a bracket, the costliest
    comes first, so that the others do not have to wait for it at the end. `asynchronous`: iteration and number of each
    asynchronous bracket. `closed`: of each bracket in which no more trials start.
    """

    def __init__(
        self,
        brackets: tuple[Bracket, ...],
        cost: Callable[[Draw], float] = lambda _: 0.0,
        asynchronous: Collection[tuple[int, int]] = (),
        closed: Collection[tuple[int, int]] = (),
    ) -> None:
        self._states = [
            _BracketState(place, one, cost, asynchronous=(one.iteration, one.number) in asynchronous)
            for place, one in enumerate(brackets)
        ]
        self._by_key = {(state.bracket.iteration, state.bracket.number): state for state in self._states}
        # A heap of places: of thousands of brackets, few have something to start.
        self._queue = [place for place, one in enumerate(brackets) if (one.iteration, one.number) not in closed]
        self._open = set(self._queue)
        self._entries: dict[str, tuple[_BracketState, int, Entry]] = {}

    def next(self, waits: Callable[[Draw | Promote], bool] = lambda _: False) -> Step:
        """Return what to start now, from the first bracket with a step that does not wait for another trial.

        Only a limited number of waiting steps is checked, so that steps stay fast in a small space.
        """
        waiting: list[int] = []
        left = _LOOKED_AT
        try:
            while self._queue:
                state, empty = self._states[self._queue[0]], True
                for step in state.steps():
                    if not waits(step):
                        return step
                    empty, left = False, left - 1
                    if left == 0:
                        return Wait()
                heapq.heappop(self._queue)
                if not empty:
                    waiting.append(state.place)
                    continue
                state.queued = False  # until something happens in it
                if state.complete:
                    self._open.discard(state.place)
            return Wait() if self._open else Finished()
        finally:
            for place in waiting:
                heapq.heappush(self._queue, place)

    def drawn(self, trial: str, draw: Draw) -> None:
        """Record that a draw was started as `trial`."""
        state = self._state(draw.bracket)
        state.drawn.add(draw.slot)
        self._add(state, 0, Entry(trial, draw.slot, (draw.slot, draw.replacement)))

    def close(self, draw: Draw) -> None:
        """Record that no candidate was left for a draw: its slot stays empty."""
        state = self._state(draw.bracket)
        state.drawn.add(draw.slot)
        state.decided.add(draw.slot)
        state.rungs[0].slots.close(draw.slot)

    def promoted(self, trial: str, promote: Promote) -> None:
        """Record that a promotion was started as `trial`."""
        state, rung, below = self._entries[promote.trial]
        state.rungs[rung].take(below)
        self._add(state, promote.rung.index, Entry(trial, promote.slot, below.order, below))

    def completed(self, trial: str, score: float) -> None:
        """Record that a trial ended with a score."""
        state, rung, entry = self._entries[trial]
        if self._end(state, rung, entry):
            state.rungs[rung].complete(entry, score)
            if rung == 0:
                state.decided.add(entry.slot)

    def drawn_until(self, bracket: Bracket) -> int:
        """Return the first slot of a bracket that has neither had a candidate nor been closed."""
        return self._state(bracket).drawn.until

    def decided_until(self, bracket: Bracket) -> int:
        """Return the first slot of a bracket's first rung that neither has a score nor is closed."""
        return self._state(bracket).decided.until

    def is_decided(self, bracket: Bracket, rung: int) -> bool:
        """Return whether no more scores can come from a rung."""
        return self._state(bracket).is_decided(rung)

    def failed(self, trial: str) -> None:
        """Record that a trial ended without a score."""
        state, rung, entry = self._entries[trial]
        if self._end(state, rung, entry):
            state.rungs[rung].slots.give_back(entry.slot)
            if entry.below is None:
                state.failures[entry.slot] += 1
            else:
                state.rungs[rung - 1].failed_above(entry.below)

    def _state(self, bracket: Bracket) -> _BracketState:
        return self._by_key[bracket.iteration, bracket.number]

    def _add(self, state: _BracketState, rung: int, entry: Entry) -> None:
        state.rungs[rung].running += 1
        state.rungs[rung].slots.take(entry.slot)
        self._entries[entry.trial] = (state, rung, entry)

    def _end(self, state: _BracketState, rung: int, entry: Entry) -> bool:
        """Remove a trial from the running ones; return whether it was running."""
        was_running, entry.running = entry.running, False
        state.rungs[rung].running -= was_running
        if not state.queued:  # It may now have something to start, or be complete.
            heapq.heappush(self._queue, state.place)
            state.queued = True
        return was_running


_LOOKED_AT = 16
