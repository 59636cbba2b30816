"""How fast this machine trains, from the trials of its runs."""

from __future__ import annotations

import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resnet_search.errors import RunError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import Complexity, complexity
from resnet_search.runs.folder import RunFolder, list_runs
from resnet_search.runs.latency import processors
from resnet_search.runs.trials import COMPLETED, Trial, read_run
from resnet_search.spaces.timing import Crew, Images, Speed
from resnet_search.workers.cluster import Cluster
from resnet_search.workers.devices import nvidia_gpus, workers_of_plan
from resnet_search.workers.nvidia import visible_gpus

# Measured on one thread of an AMD EPYC with Keras 3.15 and TensorFlow 2.21: training steps of four networks
# (benchmarks/README.md), and what building and tracing a network takes beside another worker.
DEFAULT = Speed(5.0, 1.7e-11, 8e-9, 3.0, "assumed: no run here has been measured")
# Not measured, so the range is wide: a GPU is taken to compute 30 times as fast, and to start trials more slowly.
ON_A_GPU = Speed(8.0, 5e-13, 2.5e-10, 4.0, "assumed: no run here has been measured on its GPU")
MEASURED = 1.7  # factor that times may be wrong by after a run of such networks
NEAR = 10  # largest factor between the times of such networks
_MOST_RUNS = 3  # whose speeds are averaged
_WIDEST = 4.0  # largest factor for measured times
_MOST_TRIALS = 100  # the last of a run that are looked at
_BOUND = 4.0  # factor between the ratios of set-up to training speed here and in DEFAULT


def machine_speed(runs_dir: Path, costs: Sequence[Complexity], device: str = "auto") -> Speed:
    """Return the speed of the latest runs of this machine in `runs_dir` that show it, else an assumption.

    `costs`: of the networks to train; if the runs trained no networks of such a cost, times are less certain. `device`:
    auto, cpu or gpu; auto is a GPU where the machine has one.
    """
    if device == "auto":
        device = "gpu" if nvidia_gpus() else "cpu"
    assumed = ON_A_GPU if device == "gpu" else DEFAULT
    near, far = list[Speed](), list[Speed]()
    for folder in reversed(list_runs(runs_dir)):
        try:
            speed, is_near = _speed(folder, costs, device, assumed)
        except (RunError, LookupError, TypeError, ValueError, AttributeError):
            continue  # Damaged, of another machine or too short; `list` shows what is wrong with a run.
        (near if is_near else far).append(speed)
        if len(near) == _MOST_RUNS or len(far) == 3 * _MOST_RUNS:
            break
    return joined(near or far, assumed) if near or far else assumed


def joined(speeds: Sequence[Speed], assumed: Speed) -> Speed:
    """Return the mean of the speeds of runs, the latest first; what else a machine did makes them differ."""
    speeds = speeds[:_MOST_RUNS]
    setup, training = (
        math.exp(math.fsum(map(math.log, factors)) / len(speeds))
        for factors in zip(*((one.trial_seconds, one.mac_seconds / assumed.mac_seconds) for one in speeds), strict=True)
    )
    slowest, fastest = (choose(one.trial_seconds for one in speeds) for choose in (max, min))
    more = f" and {len(speeds) - 1} before it" if len(speeds) > 1 else ""
    return Speed(
        setup,
        training * assumed.mac_seconds,
        training * assumed.activation_seconds,
        min(_WIDEST, speeds[0].error * math.sqrt(slowest / fastest)),
        speeds[0].source + more,
    )


def crew_of(workers: int | Cluster | None, threads: int | None, device: str, trial_bytes: int) -> Crew:
    """Return the workers that a search would have; one for a cluster, whose size is not known before it connects."""
    if isinstance(workers, Cluster):
        return Crew()
    gpus = (len(visible_gpus()) or len(nvidia_gpus())) if device != "cpu" else 0
    workers = workers_of_plan(workers, gpus, trial_bytes)
    if gpus:
        return Crew(workers, 1, gpus)
    return Crew(workers, threads or max(1, processors() // workers), processors())


@dataclass(frozen=True, slots=True)
class Trained:
    """A trial that was trained for `epochs`, and the seconds that it took."""

    cost: Complexity
    epochs: float
    took: float


def speed_from(trials: Sequence[Trained], images: Images, crew: Crew, assumed: Speed, source: str) -> Speed:
    """Return the speed of a worker of one thread, from the trials of a crew.

    A least-squares fit of the ratio to the assumed time, drawn to one common factor: trials of tiny networks, which are
    set up for most of their time, say little about training, and long ones little about setting up.
    """
    parts = [
        (assumed.trial_seconds, one.epochs * assumed.epoch_seconds(one.cost, images, crew.threads)) for one in trials
    ]
    took = [crew.share * one.took for one in trials]
    common = math.fsum(took) / math.fsum(map(sum, parts))
    rows = [(s / (s + t), t / (s + t), y / (s + t)) for (s, t), y in zip(parts, took, strict=True)]
    rows += [(1.0, 0.0, common), (0.0, 1.0, common)]
    a, b, d = (math.fsum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    first, second = (math.fsum(row[i] * row[2] for row in rows) for i in (0, 1))
    setup, training = (d * first - b * second) / (a * d - b * b), (a * second - b * first) / (a * d - b * b)
    setup, training = (min(_BOUND * common, max(common / _BOUND, one)) for one in (setup, training))
    return Speed(
        setup * assumed.trial_seconds,
        training * assumed.mac_seconds,
        training * assumed.activation_seconds,
        MEASURED,
        source,
    )


def _speed(folder: RunFolder, costs: Sequence[Complexity], device: str, assumed: Speed) -> tuple[Speed, bool]:
    """Return the speed of a run, and whether it trained such networks; `ValueError` if it does not show it."""
    content = folder.read()
    workers, data = content["workers"], content["data"]
    if content["machine"]["host"] != socket.gethostname() or device != workers["device"]:
        raise ValueError("it ran on another machine or device")
    done = [one for one in read_run(folder).trials.values() if one.status == COMPLETED and one.was_trained]
    if len(done) < _ENOUGH_TRIALS:
        raise ValueError("it has too few trials")
    shape, classes = tuple(data["image_shape"]), len(data["classes"])
    trials = [
        Trained(
            complexity(Architecture.from_dict(one.architecture), shape, classes),
            one.trained_epochs,
            one.setup_seconds + one.train_seconds,
        )
        for one in done[-_MOST_TRIALS:]
    ]
    crew = Crew(workers["slots"], workers["threads"], processors())
    images = Images(int(data["train"]), int(data["validation"]))
    speed = speed_from(trials, images, crew, assumed, f"measured in {folder.name}")
    seconds = [speed.image_seconds(one.cost) for one in trials]
    planned = math.fsum(map(speed.image_seconds, costs)) / len(costs)
    if min(seconds) / NEAR <= planned <= max(seconds) * NEAR:
        return speed, True
    return replace(speed, error=assumed.error, source=f"{speed.source} on networks of another size"), False


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
        """Take in a trial; trials that did not complete, or trained nothing, are ignored."""
        if trial.status != COMPLETED or not trial.was_trained:
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


_ENOUGH_TRIALS = 3
