"""Which trial comes next: successive halving over the brackets of a plan, as values, without any I/O.

Rules, for every bracket:
- A slot of the first rung draws a candidate; if its trial fails, the slot draws a replacement.
- A later rung takes the best completed trials of the rung below, each as soon as it is certain to be among them
  whatever the trials still open there score; if one fails in the later rung, the next best takes its place.
- Higher scores are better; ties go to the earlier draw.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
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
    """A trial in a rung. `order` is (slot, replacement) of its draw: the earlier draw is the smaller."""

    trial: str
    slot: int
    order: tuple[int, int]
    running: bool = True
    completed: bool = False
    taken: bool = False


class _Slots:
    """The slots of a rung: which are free, and which of these comes first, the one of the least `key`."""

    def __init__(self, size: int, key: Callable[[int], tuple[float, int]]) -> None:
        self._key, self._size = key, size
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
        if self._holders[slot] == 0 and slot < self._size:
            self._free.add(slot)
            if self._queue is not None:
                heapq.heappush(self._queue, self._key(slot))


class _RungState:
    """A rung in counts and queues, so that a step costs the same however many trials there are."""

    def __init__(self, slots: _Slots) -> None:
        self.slots = slots
        self.running = 0
        self.waiting = 0  # Trials that are completed and not taken further.
        self._best: list[tuple[float, tuple[int, int], str, _Entry]] = []  # A heap; some are taken already.

    def completed(self, entry: _Entry, score: float) -> None:
        if not entry.taken:
            self.waiting += 1
            heapq.heappush(self._best, (-score, entry.order, entry.trial, entry))

    def taken(self, entry: _Entry) -> None:
        self.waiting -= entry.completed and not entry.taken
        entry.taken = True

    def best(self) -> _Entry:
        """The best that waits."""
        while self._best[0][3].taken:
            heapq.heappop(self._best)
        return self._best[0][3]


class _BracketState:
    def __init__(self, bracket: Bracket, cost: Callable[[Draw], float]) -> None:
        self.bracket = bracket
        self.failures: Counter[int] = Counter()  # By slot of the first rung.
        first = _Slots(bracket.draws, lambda slot: (-cost(Draw(bracket, slot, 0)), slot))
        later = (_Slots(rung.size, lambda slot: (0.0, slot)) for rung in bracket.rungs[1:])
        self.rungs = [_RungState(slots) for slots in (first, *later)]

    def next(self) -> Draw | Promote | None:
        for index in reversed(range(1, len(self.rungs))):
            if self._certain(index):
                best, slot = self.rungs[index - 1].best(), self.rungs[index].slots.first()
                return Promote(self.bracket, self.bracket.rungs[index], best.trial, slot)
        if not self.rungs[0].slots:
            return None
        slot = self.rungs[0].slots.first()
        return Draw(self.bracket, slot, self.failures[slot])

    def _open(self, index: int) -> int:
        """Trials of rung `index` that may still complete: running, or not created yet."""
        free = len(self.rungs[index].slots)
        if index > 0:
            free = min(free, self.rungs[index - 1].waiting + self._open(index - 1))
        return self.rungs[index].running + free

    def _certain(self, index: int) -> bool:
        """Whether the best below rung `index` belongs in it whatever those still open score."""
        return self.rungs[index - 1].waiting > 0 and self._open(index - 1) < len(self.rungs[index].slots)

    @property
    def complete(self) -> bool:
        return all(self._open(index) == 0 for index in range(len(self.rungs)))


class Schedule:
    """The state of a search. `next` says what to do; the other methods tell it what happened.

    `cost`: what training the candidate of a planned draw takes, in any unit. The costliest of the slots that a bracket
    could fill comes first: it would be waited for, were it the last.
    """

    def __init__(self, brackets: tuple[Bracket, ...], cost: Callable[[Draw], float] = lambda _: 0.0) -> None:
        self._live = [_BracketState(bracket, cost) for bracket in brackets]
        self._by_key = {(state.bracket.iteration, state.bracket.number): state for state in self._live}
        self._entries: dict[str, tuple[_BracketState, int, _Entry]] = {}

    def next(self) -> Step:
        """What to start now."""
        step, complete = None, []
        for state in self._live:
            step = state.next()
            if step is not None:
                break
            if state.complete:
                complete.append(state)
        for state in complete:
            self._live.remove(state)
        return step or (Wait() if self._live else Finished())

    def drawn(self, trial: str, draw: Draw) -> None:
        """A draw was carried out as `trial`."""
        self._add(self._state(draw.bracket), 0, _Entry(trial, draw.slot, (draw.slot, draw.replacement)))

    def close(self, draw: Draw) -> None:
        """A draw found no candidate left: its slot stays empty."""
        self._state(draw.bracket).rungs[0].slots.close(draw.slot)

    def promoted(self, trial: str, promote: Promote) -> None:
        """A promotion was carried out as `trial`."""
        state, rung, below = self._entries[promote.trial]
        state.rungs[rung].taken(below)
        self._add(state, promote.rung.index, _Entry(trial, promote.slot, below.order))

    def completed(self, trial: str, score: float) -> None:
        """A trial ended with a score."""
        state, rung, entry = self._entries[trial]
        if self._end(state, rung, entry):
            entry.completed = True
            state.rungs[rung].completed(entry, score)

    def failed(self, trial: str) -> None:
        """A trial ended without one."""
        state, rung, entry = self._entries[trial]
        if self._end(state, rung, entry):
            state.rungs[rung].slots.give_back(entry.slot)
            if rung == 0:
                state.failures[entry.slot] += 1

    def _state(self, bracket: Bracket) -> _BracketState:
        return self._by_key[bracket.iteration, bracket.number]

    def _add(self, state: _BracketState, rung: int, entry: _Entry) -> None:
        state.rungs[rung].running += 1
        state.rungs[rung].slots.take(entry.slot)
        self._entries[entry.trial] = (state, rung, entry)

    @staticmethod
    def _end(state: _BracketState, rung: int, entry: _Entry) -> bool:
        """Take a trial off those that run; whether it was one of them."""
        was_running, entry.running = entry.running, False
        state.rungs[rung].running -= was_running
        return was_running
