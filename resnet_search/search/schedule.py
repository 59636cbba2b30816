"""Which trial comes next: successive halving over the brackets of a plan, as values, without any I/O.

Rules, for every bracket:
- A slot of the first rung draws a candidate; if its trial fails, the slot draws a replacement.
- A later rung takes the best completed trials of the rung below, each as soon as it is certain to be among them
  whatever the trials still open there score; if one fails in the later rung, the next best takes its place.
- Higher scores are better; ties go to the earlier draw.

In an asynchronous bracket a trial goes on, besides, as soon as it is among the best of those that have completed so
far, in the share that the plan's rungs have: the rule of ASHA (Li et al. 2020, "A System for Massively Parallel
Hyperparameter Tuning", algorithm 2). Its rungs are as large as planned or larger, each up to the number of draws.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from resnet_search.spaces.brackets import Bracket, Rung


@dataclass(frozen=True, slots=True)
class Draw:
    """Start a new candidate in slot `slot` of a first rung; `replacement` counts those that failed there before."""

    bracket: Bracket
    slot: int
    replacement: int

    @property
    def rung(self) -> Rung:
        return self.bracket.rungs[0]


@dataclass(frozen=True, slots=True)
class Promote:
    """Take trial `trial` on into rung `rung` of its bracket."""

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


@dataclass(slots=True)
class _Entry:
    """A trial in a rung. `order` is (slot, replacement) of its draw: the earlier draw is the smaller.

    `below`: what it was promoted from. `score` is None until it has completed.
    """

    trial: str
    slot: int
    order: tuple[int, int]
    below: _Entry | None = None
    running: bool = True
    score: float | None = None
    taken: bool = False

    @property
    def rank(self) -> tuple[float, tuple[int, int]]:
        """Smaller is better; of completed trials."""
        return -(self.score or 0.0), self.order


class _Slots:
    """The slots of a rung: which are free, and which of these comes first, the one of the least `key`."""

    def __init__(self, size: int, key: Callable[[int], tuple[float, int]]) -> None:
        self._key, self.size = key, size
        self._free = set(range(size))
        self._holders: Counter[int] = Counter()
        self._queue: list[tuple[float, int]] | None = None  # A heap; slots that are not free any more are in it too.

    def __len__(self) -> int:
        return len(self._free)

    def first(self) -> int:
        if self._queue is None:  # Only now, since keys cost something, and most brackets have not begun.
            self._queue = sorted(map(self._key, self._free))
        while self._queue[0][1] not in self._free:
            heapq.heappop(self._queue)
        return self._queue[0][1]

    def take(self, slot: int) -> None:
        self._holders[slot] += 1
        self._free.discard(slot)

    def close(self, slot: int) -> None:
        self._free.discard(slot)

    def give_back(self, slot: int) -> None:
        self._holders[slot] -= 1
        # A repaired run may have two trials in a slot.
        if self._holders[slot] == 0 and slot < self.size:
            self._free.add(slot)
            if self._queue is not None:
                heapq.heappush(self._queue, self._key(slot))


class _RungState:
    """A rung in counts and queues, so that a step costs the same however many trials there are."""

    def __init__(self, slots: _Slots) -> None:
        self.slots = slots
        self.running = 0
        self.waiting = 0  # Trials that are completed and not taken further.
        self.completed = 0
        self._best: list[tuple[tuple[float, tuple[int, int]], str, _Entry]] = []  # A heap; some are taken already.
        self._further: list[tuple[float, tuple[int, int]]] = []  # Ranks of those taken that have not failed there.

    def complete(self, entry: _Entry, score: float) -> None:
        entry.score = score
        self.completed += 1
        if entry.taken:
            insort(self._further, entry.rank)
        else:
            self.waiting += 1
            heapq.heappush(self._best, (entry.rank, entry.trial, entry))

    def take(self, entry: _Entry) -> None:
        if entry.score is not None and not entry.taken:
            self.waiting -= 1
            insort(self._further, entry.rank)
        entry.taken = True

    def failed_above(self, entry: _Entry) -> None:
        place = bisect_left(self._further, entry.rank)
        if self._further[place : place + 1] == [entry.rank]:
            del self._further[place]

    def best(self) -> _Entry:
        """The best that waits."""
        while self._best[0][2].taken:
            heapq.heappop(self._best)
        return self._best[0][2]

    def ahead(self) -> int:
        """Completed trials that are better than the best that waits, those that have failed above left out."""
        return bisect_left(self._further, self.best().rank)


class _BracketState:
    """A bracket at its `place` in the plan. `queued`: whether it is among those that may have something to start."""

    def __init__(self, place: int, bracket: Bracket, cost: Callable[[Draw], float], *, asynchronous: bool) -> None:
        self.place, self.bracket, self.queued, self._asynchronous = place, bracket, True, asynchronous
        self.failures: Counter[int] = Counter()  # By slot of the first rung.
        first = _Slots(bracket.draws, lambda slot: (-cost(Draw(bracket, slot, 0)), slot))
        sizes = (bracket.draws if asynchronous else rung.size for rung in bracket.rungs[1:])
        later = (_Slots(size, lambda slot: (0.0, slot)) for size in sizes)
        self.rungs = [_RungState(slots) for slots in (first, *later)]

    def next(self) -> Draw | Promote | None:
        for index in reversed(range(1, len(self.rungs))):
            if self._certain(index) or (self._asynchronous and self._among_the_best(index)):
                best, slot = self.rungs[index - 1].best(), self.rungs[index].slots.first()
                return Promote(self.bracket, self.bracket.rungs[index], best.trial, slot)
        if not self.rungs[0].slots:
            return None
        slot = self.rungs[0].slots.first()
        return Draw(self.bracket, slot, self.failures[slot])

    def _open(self, index: int) -> int:
        """Trials of rung `index` that may still complete: running, or not created yet."""
        free = self._free(index)
        if index > 0:
            free = min(free, self.rungs[index - 1].waiting + self._open(index - 1))
        return self.rungs[index].running + free

    def _certain(self, index: int) -> bool:
        """Whether the best below rung `index` belongs in it whatever those still open score."""
        return self.rungs[index - 1].waiting > 0 and self._open(index - 1) < self._free(index)

    def _among_the_best(self, index: int) -> bool:
        """Whether the best below rung `index` is in the top of those that have completed there."""
        below, sizes = self.rungs[index - 1], self.bracket.rungs
        top = below.completed * sizes[index].size // sizes[index - 1].size
        return below.waiting > 0 and below.ahead() < top

    def _free(self, index: int) -> int:
        """Planned places of rung `index` that no trial has."""
        slots = self.rungs[index].slots
        return max(0, self.bracket.rungs[index].size - (slots.size - len(slots)))

    @property
    def complete(self) -> bool:
        return all(self._open(index) == 0 for index in range(len(self.rungs)))


class Schedule:
    """The state of a search. `next` says what to do; the other methods tell it what happened.

    `cost`: what training the candidate of a planned draw takes, in any unit. The costliest of the slots that a bracket
    could fill comes first: it would be waited for, were it the last. `asynchronous`: iteration and number of each
    bracket that is so.
    """

    def __init__(
        self,
        brackets: tuple[Bracket, ...],
        cost: Callable[[Draw], float] = lambda _: 0.0,
        asynchronous: Collection[tuple[int, int]] = (),
    ) -> None:
        self._states = [
            _BracketState(place, one, cost, asynchronous=(one.iteration, one.number) in asynchronous)
            for place, one in enumerate(brackets)
        ]
        self._by_key = {(state.bracket.iteration, state.bracket.number): state for state in self._states}
        # Of thousands of brackets with thousands of workers, few have something to start: a heap of their places.
        self._queue = list(range(len(brackets)))
        self._open = set(self._queue)
        self._entries: dict[str, tuple[_BracketState, int, _Entry]] = {}

    def next(self) -> Step:
        """What to start now, in the first bracket that has something."""
        while self._queue:
            state = self._states[self._queue[0]]
            step = state.next()
            if step is not None:
                return step
            heapq.heappop(self._queue)
            state.queued = False  # Until something happens in it.
            if state.complete:
                self._open.discard(state.place)
        return Wait() if self._open else Finished()

    def drawn(self, trial: str, draw: Draw) -> None:
        """A draw was carried out as `trial`."""
        self._add(self._state(draw.bracket), 0, _Entry(trial, draw.slot, (draw.slot, draw.replacement)))

    def close(self, draw: Draw) -> None:
        """A draw found no candidate left: its slot stays empty."""
        state = self._state(draw.bracket)
        state.rungs[0].slots.close(draw.slot)
        self._look_again(state)

    def promoted(self, trial: str, promote: Promote) -> None:
        """A promotion was carried out as `trial`."""
        state, rung, below = self._entries[promote.trial]
        state.rungs[rung].take(below)
        self._add(state, promote.rung.index, _Entry(trial, promote.slot, below.order, below))

    def completed(self, trial: str, score: float) -> None:
        """A trial ended with a score."""
        state, rung, entry = self._entries[trial]
        if self._end(state, rung, entry):
            state.rungs[rung].complete(entry, score)

    def failed(self, trial: str) -> None:
        """A trial ended without one."""
        state, rung, entry = self._entries[trial]
        if self._end(state, rung, entry):
            state.rungs[rung].slots.give_back(entry.slot)
            if entry.below is None:
                state.failures[entry.slot] += 1
            else:
                state.rungs[rung - 1].failed_above(entry.below)

    def _state(self, bracket: Bracket) -> _BracketState:
        return self._by_key[bracket.iteration, bracket.number]

    def _look_again(self, state: _BracketState) -> None:
        """Something has happened in a bracket, so it may have something to start, or be complete."""
        if not state.queued:
            heapq.heappush(self._queue, state.place)
            state.queued = True

    def _add(self, state: _BracketState, rung: int, entry: _Entry) -> None:
        state.rungs[rung].running += 1
        state.rungs[rung].slots.take(entry.slot)
        self._entries[entry.trial] = (state, rung, entry)
        self._look_again(state)

    def _end(self, state: _BracketState, rung: int, entry: _Entry) -> bool:
        """Take a trial off those that run; whether it was one of them."""
        was_running, entry.running = entry.running, False
        state.rungs[rung].running -= was_running
        self._look_again(state)
        return was_running
