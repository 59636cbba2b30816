"""The messages between search and training: plain values that cross a process boundary as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# Files in a trial's folder.
WEIGHTS = "checkpoint.weights.h5"  # the scored weights
HISTORY = "history.jsonl"  # one `Epoch` per line
FAILURE = "failure.txt"  # the cause of a failure
MACHINE = 75  # exit status of a worker whose machine, not its candidate, is at fault: EX_TEMPFAIL
STATE = "state.h5"  # the state to continue from: `training.checkpoint`
ANSWERS = "answers.bits"  # which validation images the scored weights classify correctly: image i is bit i


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Train one candidate from epoch `initial_epoch` to `epochs` (absolute; see `training.length`).

    `folder` receives the files of `training.train`; `parent` is the folder of the trial to continue from, if any.
    `seed` is the candidate's: initial weights, data order and augmentation follow from it and the epoch.
    `horizon` is the length of the learning-rate schedule in epochs. The rate starts to fall at `constant_until`
    (`Recipe.learning_rate_at`). `data`: a folder written by `training.arrays`.
    `parts`: the number of equal parts that each batch is trained in, one after another, with a single step.
    `precision`: one of `networks.precision`.
    """

    trial: str
    folder: str
    parent: str | None
    architecture: dict[str, Any]
    recipe: dict[str, Any]
    seed: int
    initial_epoch: float
    epochs: float
    horizon: int
    data: str
    parts: int = 1
    precision: str = "float32"
    constant_until: float = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A line of a trial's history: the training since the previous line, and the score after it.

    `epoch` is absolute, one of `training.length.validations`; times are in seconds.
    """

    epoch: float
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    train_seconds: float
    validation_seconds: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class TrialFailure(Exception):  # noqa: N818 - an outcome of a trial, not of the program
    """A candidate that cannot be trained; the message says why. The search replaces it and continues."""
