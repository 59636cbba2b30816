"""What a tracker is told of a run, and what it answers. One record is one candidate, over all its rungs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from resnet_search.runs.axes import Value

RUNNING, COMPLETE, PRUNED, FAILED = "running", "complete", "pruned", "failed"

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "train_seconds", "validation_seconds")
SCORE = "val_accuracy"
COSTS = ("parameters", "multiply_adds")  # of the tags


@dataclass(frozen=True, slots=True)
class Search:
    """The run that is tracked. `key` is of this run alone, also where others have its name."""

    name: str
    key: str
    started: float
    tags: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Point:
    """An epoch of a candidate: when it ended, seconds since 1970 by the workers' own times, and its `METRICS`."""

    epoch: int
    time: float
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Record:
    """A candidate as it is now.

    `name` is printable. `params`: its values on the axes of the space that mean something for it. `tags`: what else is
    known of it. `curve`: its epochs over all rungs, first to last. `state`: complete is trained for the full budget,
    pruned is left behind by a rung, failed may have a curve, and running is everything that is not decided.
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
        """A name that no other candidate of the run has."""
        return f"{self.candidate:04d} {self.name}"

    @property
    def config(self) -> dict[str, Value]:
        """What it was trained as: its values on the axes, and what it costs."""
        return {**self.params, **{name: self.tags[name] for name in COSTS}}


@dataclass(frozen=True, slots=True)
class Stored:
    """What a tracker's store has of a candidate: its last epoch, 0 for none, and its state."""

    epoch: int
    state: str


class Tracker(Protocol):
    """One store of one run. Any method may raise anything: the tracker is then closed, and later made anew."""

    def stored(self) -> dict[int, Stored]:
        """What the store has, by candidate, whoever wrote it. Asked once, before anything is written."""

    def write(self, record: Record, before: Stored | None) -> None:
        """Add what the store does not have yet: `before` says what it has of this candidate, None for nothing."""

    def close(self) -> None:
        """Let go of the store."""
