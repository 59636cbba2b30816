"""How fast this machine trains, from the runs that it has done, and how many images a search trains on."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from resnet_search.errors import RunError
from resnet_search.runs.folder import RunFolder, list_runs
from resnet_search.runs.trials import COMPLETED, Trial, read_run
from resnet_search.spaces.plan import PASSES, Speed
from resnet_search.spaces.schema import Data
from resnet_search.training.split_sizes import split_sizes

# Measured on 2 cores of an AMD EPYC with Keras 3.15 and TensorFlow 2.21: the quickstart search, two workers of a
# thread each, together.
MACS_PER_SECOND = 9.7e9  # in training: three times the multiply-adds of the forward pass
TRIAL_SECONDS = 3.7  # to build and compile a network, and to load and save its state
# Small networks spend their time on other things than multiply-adds, and large ones use a machine better: what is
# measured on networks of one size says nothing of those that are further away than this factor.
NEAR = 10
DEFAULT = Speed(
    MACS_PER_SECOND, TRIAL_SECONDS, f"assumed: no run here has measured networks within {NEAR} times this size"
)

# Training images of the sources whose size is known before they are read, in ten classes each.
TRAIN_IMAGES = {"cifar10": 50_000, "shapes": 4_000}
_CLASSES = 10


def machine_speed(runs_dir: Path, macs: float, device: str = "auto") -> Speed:
    """The speed of the latest run of this machine in `runs_dir` that tells it for such networks, else `DEFAULT`.

    `macs`: multiply-adds of one image's forward pass, on average over the networks to train; those of the run are
    within a factor of `NEAR`. `device`: of runs on a cpu or a gpu alone, or with auto on either. All workers of a run
    count together.
    """
    for folder in reversed(list_runs(runs_dir)):
        try:
            speed = _speed(folder, macs, device)
        except (RunError, LookupError, TypeError, ValueError, AttributeError):
            continue  # A damaged run has nothing to say here; `list` shows what is wrong with it.
        if speed is not None:
            return speed
    return DEFAULT


def _speed(folder: RunFolder, macs: float, device: str) -> Speed | None:
    content = folder.read()
    workers = content["workers"]
    if content["machine"]["host"] != socket.gethostname() or device not in {"auto", workers["device"]}:
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
    """The pace of trials that are told one after another: a least-squares line, by Welford's sums.

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


def training_images(data: Data, train_examples: int | None) -> int | None:
    """Images that each epoch of a search trains on; None where only reading the source can tell.

    Raises DataError where the validation part or `train_examples` do not fit a source of known size.
    """
    total = TRAIN_IMAGES.get(data.source)
    if total is None:
        return train_examples
    return split_sizes(total, _CLASSES, validation=data.validation, train_examples=train_examples)[1]
