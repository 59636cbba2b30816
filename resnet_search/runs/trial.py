"""A trial, as the events of its run make it. What no event of this program can say raises an error of `DAMAGE`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import NoneType
from typing import Any

from resnet_search.runs.events import Event
from resnet_search.training.length import in_epochs

RUNNING, COMPLETED, FAILED = "running", "completed", "failed"
SKIPPED = "skipped, as requested"  # the reason of a failed trial
STATUSES = (RUNNING, COMPLETED, FAILED)


@dataclass(slots=True)
class Trial:
    """One candidate in one rung: trained from `initial_epoch` to `epochs` (absolute; see `training.length`).

    `score` and `val_loss`: validation accuracy and loss after the last epoch. `reused`: nothing was trained, since the
    candidate had been trained this far before, in trial `parent` or beyond. `taken`: the run and trial that its files
    were copied from, since an earlier run had trained the same. `cleaned`: the user has had its checkpoints
    removed.
    `repeat`: which of several trainings of its architecture from scratch it is, 0 where there is one.
    `parts`: that each batch is divided into to save memory, so batch normalisation sees less than a batch.
    """

    trial: str
    candidate: int
    iteration: int
    bracket: int
    rung: int
    slot: int
    replacement: int
    promoted_from: str | None
    parent: str | None
    initial_epoch: float
    epochs: float
    name: str
    depth: int
    architecture: dict[str, Any]
    recipe: dict[str, Any]
    params: int
    macs: int
    reused: bool
    created: float
    status: str = RUNNING
    score: float | None = None
    val_loss: float | None = None
    reason: str = ""
    ended: float | None = None
    setup_seconds: float = 0.0
    train_seconds: float = 0.0
    losses: int = 0
    cleaned: bool = False
    parts: int = 1
    repeat: int = 0
    taken: str = ""

    @property
    def was_trained(self) -> bool:
        """Whether its epochs were trained for this run, rather than reused."""
        return not self.reused and not self.taken

    @property
    def trained_epochs(self) -> float:
        """Epochs that this trial itself trains."""
        return in_epochs(self.epochs - self.initial_epoch) if self.was_trained else 0


# What reading values that are missing, or of another kind, raises.
DAMAGE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
OF_A_TRIAL = frozenset({"completed", "failed", "lost", "divided", "retrained", "reopened", "retried"})
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str | None": (str, NoneType),
    "dict[str, Any]": (dict,),
}
_CREATED = tuple(
    (item.name, _KINDS[str(item.type)]) for item in fields(Trial) if item.default is MISSING and item.name != "created"
)
LARGE, _YEAR_9999 = 2**63, 253_370_764_800


def created_trial(event: Event, before: Mapping[str, Trial]) -> Trial:
    """The trial of a `created` event that follows those `before`."""
    values: dict[str, Any] = {}
    for name, kinds in _CREATED:
        value = values[name] = event[name]
        if not isinstance(value, kinds) or (isinstance(value, int | float) and not 0 <= value < LARGE):
            raise TypeError(f"{name} is {value!r:.100}")
    trial = Trial(**values, created=moment(event["time"]))
    # Absent in runs from before it was there.
    trial.repeat = _whole(event.get("repeat", 0), 0)
    if trial_id(trial.trial) in before:
        raise ValueError(f"trial {trial.trial} was created before")
    for origin in (trial.promoted_from, trial.parent):
        if origin is not None and before[origin].candidate != trial.candidate:
            raise ValueError(f"trial {trial.trial} has another candidate than trial {origin}")
    if trial.parent is not None:
        trial.parts = before[trial.parent].parts
    return trial


def apply_event(trial: Trial, event: Event) -> None:
    """Let a trial take in an event `OF_A_TRIAL`."""
    kind = event["event"]
    if kind == "lost":
        trial.losses += not event.get("blameless", False)
    elif kind == "divided":
        trial.parts = _whole(event["parts"], 1)
    elif kind == "retrained":
        trial.parent, trial.initial_epoch, trial.reused = None, 0, False
    elif kind == "retried":
        trial.status, trial.ended, trial.reason, trial.losses = RUNNING, None, "", 0
    elif kind == "reopened":
        trial.status, trial.score, trial.val_loss = RUNNING, None, None
        trial.ended, trial.cleaned, trial.taken = None, False, ""
    elif trial.status == COMPLETED:
        raise ValueError(f"trial {trial.trial} had completed before")
    elif kind == COMPLETED:
        ended, score = moment(event["time"]), _finite(event["score"])
        if not 0 <= score <= 1:
            raise ValueError(f"{score} is no accuracy")
        trial.setup_seconds, trial.train_seconds = _finite(event["setup_seconds"]), _finite(event["train_seconds"])
        trial.status, trial.ended, trial.score = COMPLETED, ended, score
        # Absent in runs from before it was there.
        trial.val_loss = _finite(event["val_loss"]) if "val_loss" in event else None
        trial.taken = str(event.get("taken", ""))
    else:
        trial.status, trial.ended, trial.reason = FAILED, moment(event["time"]), str(event["reason"])


def _whole(value: Any, low: int) -> int:
    if not isinstance(value, int) or not low <= value < LARGE:
        raise ValueError(f"{value!r:.100} is no number from {low} on")
    return value


def trial_id(text: str) -> str:
    """An id from an event, if it can be one."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError("a trial id has digits alone")  # It names a folder.
    return text


def moment(value: Any) -> float:
    """Seconds since 1970 from an event, if they can be that."""
    seconds = _finite(value)
    if not 0 <= seconds < _YEAR_9999:
        raise ValueError(f"{value!r} is no time")
    return seconds


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number
