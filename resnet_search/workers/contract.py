"""What runs jobs for a search: local processes here, other machines elsewhere. One contract for all.

A worker slot takes one job at a time. `Workers.wait` gives the messages of a slot in the order they happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from resnet_search.training.job import Epoch, Job


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker process has started; `devices` are what its backend will train on."""

    slot: int
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch of a trial is on disk."""

    slot: int
    trial: str
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Divided:
    """Memory does not suffice for the batches of a trial: it starts again, each in `parts` parts."""

    slot: int
    trial: str
    parts: int


@dataclass(frozen=True, slots=True)
class Done:
    """A trial has reached its last epoch. `setup_seconds`: from the job's arrival to its first step."""

    slot: int
    trial: str
    history: tuple[Epoch, ...]
    setup_seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A trial cannot be trained; `detail` is for the file beside its history."""

    slot: int
    trial: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A worker cannot write its files, for any candidate: the search must end, and can be resumed."""

    slot: int
    trial: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker process is gone, and what it trained since its last epoch with it. `trial` is None if it had none.

    `reason` completes "its worker ...": "crashed (SIGSEGV)". `blameless`: the trial did not cause it. `machine`: nor
    would another trial fare better here, as memory is short or the installation broken; several such losses without an
    epoch in between end the search.
    """

    slot: int
    trial: str | None
    exit_code: int
    reason: str
    blameless: bool = False
    machine: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """No machine has room for a trial's worker now. Said again as long as it is so."""

    slot: int
    trial: str
    reason: str


Message = Ready | EpochDone | Divided | Done | Failed | Stopped | Lost | Waiting


class Workers(Protocol):
    """Slots, numbered from 0."""

    @property
    def slots(self) -> int:
        """How many jobs may run at once now. Processes of this machine are as many all the time."""

    def submit(self, slot: int, job: Job) -> None:
        """Start a job in a free slot."""

    def cancel(self, slot: int) -> None:
        """End the job of a slot now, without another message of it. Its trial keeps the epochs that are on disk."""

    def wait(self, seconds: float) -> Message | None:
        """The next message, or None if none comes in time."""

    def close(self) -> None:
        """End every process now. Trials keep the epochs that are on disk."""
