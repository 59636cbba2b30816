"""Which trial comes next: successive halving over the brackets of a plan, as values, without any I/O.

Rules, for every bracket:
- A slot of the first rung draws a candidate; if its trial fails, the slot draws a replacement.
- A later rung takes the best completed trials of the rung below, each as soon as it is certain to be among them
  whatever the trials still open there score; if one fails in the later rung, the next best takes its place.
- Higher scores are better; ties go to the earlier draw.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
    score: float | None = None
    failed: bool = False
    taken: bool = False

    @property
    def completed(self) -> bool:
        return self.score is not None


@dataclass(slots=True)
class _BracketState:
    bracket: Bracket
    rungs: list[list[_Entry]] = field(default_factory=list)
    failures: dict[int, int] = field(default_factory=dict)  # By slot of the first rung.
    closed: set[int] = field(default_factory=set)  # Slots that no candidate is left for.

    def next(self) -> Draw | Promote | None:
        for index in reversed(range(1, len(self.bracket.rungs))):
            best = self._certain(index)
            if best is not None:
                slot = self._free_slots(index)[0]
                return Promote(self.bracket, self.bracket.rungs[index], best.trial, slot)
        slots = self._free_slots(0)
        return Draw(self.bracket, slots[0], self.failures.get(slots[0], 0)) if slots else None

    def _free_slots(self, index: int) -> list[int]:
        taken = {entry.slot for entry in self.rungs[index] if not entry.failed}
        blocked = self.closed if index == 0 else set()
        return [slot for slot in range(self.bracket.rungs[index].size) if slot not in taken and slot not in blocked]

    def _waiting(self, index: int) -> list[_Entry]:
        """Completed in rung `index` and not yet taken further."""
        return [entry for entry in self.rungs[index] if entry.completed and not entry.taken]

    def _open(self, index: int) -> int:
        """Trials of rung `index` that may still complete: running, or not created yet."""
        running = sum(not entry.completed and not entry.failed for entry in self.rungs[index])
        free = len(self._free_slots(index))
        if index > 0:
            free = min(free, len(self._waiting(index - 1)) + self._open(index - 1))
        return running + free

    def _certain(self, index: int) -> _Entry | None:
        """The trial below rung `index` that belongs in it whatever those still open score."""
        waiting = self._waiting(index - 1)
        if not waiting or self._open(index - 1) >= len(self._free_slots(index)):
            return None
        return min(waiting, key=lambda entry: (-(entry.score or 0.0), entry.order))

    @property
    def complete(self) -> bool:
        return all(self._open(index) == 0 for index in range(len(self.rungs)))


class Schedule:
    """The state of a search. `next` says what to do; the other methods tell it what happened."""

    def __init__(self, brackets: tuple[Bracket, ...]) -> None:
        self._brackets = [_BracketState(bracket, [[] for _ in bracket.rungs]) for bracket in brackets]
        self._by_key = {(state.bracket.iteration, state.bracket.number): state for state in self._brackets}
        self._live = list(self._brackets)
        self._entries: dict[str, tuple[_BracketState, int, _Entry]] = {}

    def next(self) -> Step:
        """What to start now."""
        # An earlier bracket that is complete has nothing left to say.
        self._live = [state for state in self._live if not state.complete]
        for state in self._live:
            step = state.next()
            if step is not None:
                return step
        return Wait() if self._live else Finished()

    def drawn(self, trial: str, draw: Draw) -> None:
        """A draw was carried out as `trial`."""
        state = self._state(draw.bracket)
        self._add(state, 0, _Entry(trial, draw.slot, (draw.slot, draw.replacement)))

    def close(self, draw: Draw) -> None:
        """A draw found no candidate left: its slot stays empty."""
        self._state(draw.bracket).closed.add(draw.slot)

    def promoted(self, trial: str, promote: Promote) -> None:
        """A promotion was carried out as `trial`."""
        state, _, below = self._entries[promote.trial]
        below.taken = True
        self._add(state, promote.rung.index, _Entry(trial, promote.slot, below.order))

    def completed(self, trial: str, score: float) -> None:
        """A trial ended with a score."""
        self._entries[trial][2].score = score

    def failed(self, trial: str) -> None:
        """A trial ended without one."""
        state, rung, entry = self._entries[trial]
        entry.failed = True
        if rung == 0:
            state.failures[entry.slot] = state.failures.get(entry.slot, 0) + 1

    def _state(self, bracket: Bracket) -> _BracketState:
        return self._by_key[bracket.iteration, bracket.number]

    def _add(self, state: _BracketState, rung: int, entry: _Entry) -> None:
        state.rungs[rung].append(entry)
        self._entries[entry.trial] = (state, rung, entry)
