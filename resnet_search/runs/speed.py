"""How fast this machine trains, from the runs that it has done."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from resnet_search.errors import RunError
from resnet_search.runs.folder import RunFolder, list_runs
from resnet_search.runs.trials import COMPLETED, Trial, read_run
from resnet_search.spaces.plan import PASSES, Speed
from resnet_search.workers.devices import nvidia_gpus

# Measured on 2 cores of an AMD EPYC with Keras 3.15 and TensorFlow 2.21: the quickstart search, two workers of a
# thread each, together.
MACS_PER_SECOND = 9.7e9  # in training: three times the multiply-adds of the forward pass
TRIAL_SECONDS = 3.7  # to build and compile a network, and to load and save its state
# Small networks spend their time on other things than multiply-adds, and large ones use a machine better: what is
# measured on networks of one size says nothing of those that are further away than this factor.
NEAR = 10
_UNKNOWN = f"no run here has measured networks within {NEAR} times this size"
DEFAULT = Speed(MACS_PER_SECOND, TRIAL_SECONDS, f"assumed: {_UNKNOWN}")
ON_A_GPU = Speed(MACS_PER_SECOND, TRIAL_SECONDS, f"assumed, of two processor cores: {_UNKNOWN} on its GPU")


def machine_speed(runs_dir: Path, macs: float, device: str = "auto") -> Speed:
    """The speed of the latest run of this machine in `runs_dir` that tells it for such networks, else an assumption.

    `macs`: multiply-adds of one image's forward pass, on average over the networks to train; those of the run are
    within a factor of `NEAR`. `device`: auto, cpu or gpu; auto is a GPU where the machine has one. All workers of a run
    count together.
    """
    if device == "auto":
        device = "gpu" if nvidia_gpus() else "cpu"
    for folder in reversed(list_runs(runs_dir)):
        try:
            speed = _speed(folder, macs, device)
        except (RunError, LookupError, TypeError, ValueError, AttributeError):
            continue  # A damaged run has nothing to say here; `list` shows what is wrong with it.
        if speed is not None:
            return speed
    return ON_A_GPU if device == "gpu" else DEFAULT


def _speed(folder: RunFolder, macs: float, device: str) -> Speed | None:
    content = folder.read()
    workers = content["workers"]
    if content["machine"]["host"] != socket.gethostname() or device != workers["device"]:
        return None
    trials = _trained(read_run(folder).trials.values())
    pace = pace_of(trials)
    if pace is None:
        return None
    measured = sum(trial.macs for trial in trials) / len(trials)
    if not macs / NEAR <= measured <= macs * NEAR:
        return None
    work = PASSES * content["data"]["train"] * workers["slots"]
    return Speed(work / pace.seconds_per_mac_epoch, pace.trial_seconds / workers["slots"], f"measured in {folder.name}")


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that a worker takes for each multiply-add of a network in each epoch, and for each trial besides."""

    seconds_per_mac_epoch: float
    trial_seconds: float


@dataclass(slots=True)
class Pacing:
    """The pace of trials, reported one after another: a least-squares line, by Welford's sums.

    A line, since tracing and compiling a network is part of its first epoch, and in trials of one epoch on small data
    most of it.
    """

    _count: int = 0
    _work: float = 0.0  # multiply-adds times epochs, on average
    _seconds: float = 0.0  # on average
    _spread: float = 0.0
    _together: float = 0.0

    def add(self, trial: Trial) -> None:
        """Take in a trial; those that have not completed, or have trained nothing, tell nothing."""
        if trial.status != COMPLETED or trial.reused:
            return
        self._count += 1
        apart = trial.macs * trial.trained_epochs - self._work
        self._work += apart / self._count
        self._seconds += (trial.setup_seconds + trial.train_seconds - self._seconds) / self._count
        self._spread += apart * (trial.macs * trial.trained_epochs - self._work)
        self._together += apart * (trial.setup_seconds + trial.train_seconds - self._seconds)

    @property
    def pace(self) -> Pace | None:
        """The pace, None if they are too few to tell."""
        if self._count < _ENOUGH_TRIALS or self._seconds <= 0 or self._work <= 0:
            return None
        slope = self._together / self._spread if self._spread else 0.0
        if slope <= 0 or self._seconds < slope * self._work:
            return Pace(self._seconds / self._work, 0.0)
        return Pace(slope, self._seconds - slope * self._work)


def pace_of(trials: Iterable[Trial]) -> Pace | None:
    """The pace of completed trials, None if they are too few to tell."""
    pacing = Pacing()
    for trial in trials:
        pacing.add(trial)
    return pacing.pace


def _trained(trials: Iterable[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.status == COMPLETED and not trial.reused]


_ENOUGH_TRIALS = 3
