"""The interface between a run and a tracker. One record is one candidate, over all its rungs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from resnet_search.runs.axes import Value

RUNNING, COMPLETE, PRUNED, FAILED = "running", "complete", "pruned", "failed"

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "train_seconds", "validation_seconds")
SCORE = "val_accuracy"
COSTS = ("parameters", "multiply_adds")  # tags that hold costs


@dataclass(frozen=True, slots=True)
class Search:
    """The run that is tracked. `key` identifies this run even among runs of the same name."""

    name: str
    key: str
    started: float
    tags: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Point:
    """A validation of a candidate: its time in seconds since 1970, from the workers' own times, and its `METRICS`.

    `step`: the epoch that it follows, in hundredths if rungs of the run may end inside an epoch.
    """

    step: int
    time: float
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Record:
    """The current state of a candidate.

    `name` is printable. `params`: its values on the axes that apply to it. `tags`: other facts about it. `curve`: its
    epochs over all rungs, first to last. `state`: complete (trained for the full budget), pruned (stopped at a rung),
    failed (may have a curve), or running (not decided yet).
    """

    candidate: int
    name: str
    params: dict[str, Value]
    tags: dict[str, Value]
    started: float
    ended: float
    curve: tuple[Point, ...]
    state: str

    @property
    def label(self) -> str:
        """Return a name that is unique in the run."""
        return f"{self.candidate:04d} {self.name}"

    @property
    def config(self) -> dict[str, Value]:
        """Return its values on the axes and its costs."""
        return {**self.params, **{name: self.tags[name] for name in COSTS}}


@dataclass(frozen=True, slots=True)
class Stored:
    """A candidate as a tracker's store has it: its last step, 0 for none, and its state."""

    step: int
    state: str


class Tracker(Protocol):
    """The store of one run. Any method may raise anything; the tracker is then closed and opened again later."""

    def stored(self) -> dict[int, Stored]:
        """Return what the store has, by candidate, from any program. Called once, before anything is written."""

    def write(self, record: Record, before: Stored | None) -> None:
        """Add what the store lacks; `before`: what it has of this candidate, None for nothing."""

    def close(self) -> None:
        """Close the store."""
