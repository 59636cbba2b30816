"""One rung of a bracket as counts and queues, so that the cost of a step does not grow with the number of trials."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Entry:
    """A trial in a rung. `order`: (slot, replacement) of its draw; earlier draws are smaller.

    `below`: the entry it was promoted from. `score` is None until it has completed.
    """

    trial: str
    slot: int
    order: tuple[int, int]
    below: Entry | None = None
    running: bool = True
    score: float | None = None
    taken: bool = False

    @property
    def rank(self) -> tuple[float, tuple[int, int]]:
        """Sort key of a completed trial; smaller is better."""
        return math.inf if self.score is None else -self.score, self.order


class Slots:
    """The slots of a rung: which are free, and which free slot comes first, by least `key`."""

    def __init__(self, size: int, key: Callable[[int], float]) -> None:
        self._key, self.size = key, size
        self._free = set(range(size))
        self._holders: Counter[int] = Counter()
        self._queue: list[tuple[float, int]] | None = None  # a heap that may hold slots no longer free

    def __len__(self) -> int:
        return len(self._free)

    def first(self) -> int:
        if self._queue is None:  # Made late: keys are costly, and most brackets start later.
            self._queue = sorted(map(self._place, self._free))
        while self._queue[0][1] not in self._free:
            heapq.heappop(self._queue)
        return self._queue[0][1]

    def others(self) -> list[int]:
        """Return the free slots after the first, by least key."""
        self.first()
        # A slot that was given back may be in the queue twice.
        return [slot for _, slot in sorted(set(self._queue or ())) if slot in self._free][1:]

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
                heapq.heappush(self._queue, self._place(slot))

    def _place(self, slot: int) -> tuple[float, int]:
        return self._key(slot), slot


class RungState:
    """The running and completed trials of a rung, and which of the latter wait or were promoted."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.running = 0
        self.waiting = 0  # completed trials that were not promoted
        self.completed = 0
        self._best: list[tuple[tuple[float, tuple[int, int]], str, Entry]] = []  # a heap; some were promoted already
        self._further: list[
            tuple[float, tuple[int, int]]
        ] = []  # ranks of promoted trials, without those that failed there

    def complete(self, entry: Entry, score: float) -> None:
        entry.score = score
        self.completed += 1
        if entry.taken:
            insort(self._further, entry.rank)
        else:
            self.waiting += 1
            heapq.heappush(self._best, (entry.rank, entry.trial, entry))

    def take(self, entry: Entry) -> None:
        if entry.score is not None and not entry.taken:
            self.waiting -= 1
            insort(self._further, entry.rank)
        entry.taken = True

    def failed_above(self, entry: Entry) -> None:
        place = bisect_left(self._further, entry.rank)
        if self._further[place : place + 1] == [entry.rank]:
            del self._further[place]

    def best(self) -> Entry:
        """Return the best waiting trial."""
        while self._best[0][2].taken:
            heapq.heappop(self._best)
        return self._best[0][2]

    def ahead(self) -> int:
        """Count the promoted trials better than the best waiting one, without those that failed above."""
        return bisect_left(self._further, self.best().rank)
