"""Workers on a virtual clock, and the learning curves that they take their results from."""

from __future__ import annotations

import heapq
import json
import math
import random
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import NormalDist, fmean, pstdev
from typing import Protocol

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.spaces.plan import make_plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import HISTORY, Epoch, Job
from resnet_search.workers.contract import Done, Message

DRIVER_SECONDS = 0.003  # what creating and telling a trial may take in all; measured: less
SETUP_SECONDS = 5.0  # of a trial before its first step
EPOCH_SECONDS = 60.0  # of the mean network of the space
JITTER = 0.1  # standard deviation of the logarithm of a trial's speed: machines differ


class Curves(Protocol):
    """What training a job would give, whatever the timing."""

    def accuracy(self, job: Job) -> list[float]:
        """Validation accuracies of the epochs that the job trains."""

    def seconds(self, job: Job) -> float:
        """How long it takes, its start included."""

    def final(self, job: Job) -> float:
        """What its candidate is worth: its accuracy after the full budget, without noise."""


@dataclass(frozen=True)
class Synthetic:
    """Accuracy after e epochs: f e / (e + t) + noise, of a candidate that is as good as (f, t) say.

    f = 0.55 + 0.4 P(q), P the normal distribution's function and q = r z + sqrt(1 - r^2) x: z is the standardised
    logarithm of the network's multiply-adds, x standard normal for each candidate, r = `size_matters`. t, the epochs to
    half of f, is lognormal around 2 with a deviation of 0.5, so that curves cross; noise has a deviation of 0.01, of
    its own for each epoch. An epoch takes time proportional to the multiply-adds, times exp(`JITTER` x).
    """

    space: SearchSpace
    size_matters: float = 0.5

    @cached_property
    def _logarithms(self) -> tuple[float, float, float]:
        """Mean and deviation of log(multiply-adds), and the mean of multiply-adds."""
        macs = [cost.macs for cost in make_plan(self.space).feasible.costs]
        return fmean(map(math.log, macs)), pstdev(map(math.log, macs)), fmean(macs)

    def accuracy(self, job: Job) -> list[float]:
        final, half = self.candidate(_macs(job), job.seed)
        epochs = range(job.initial_epoch + 1, job.epochs + 1)
        noise = (random.Random(f"{job.seed};{epoch}").gauss(0, 0.01) for epoch in epochs)
        return [min(1.0, max(0.0, final * epoch / (epoch + half) + n)) for epoch, n in zip(epochs, noise, strict=True)]

    def final(self, job: Job) -> float:
        final, half = self.candidate(_macs(job), job.seed)
        return final * job.horizon / (job.horizon + half)

    def candidate(self, macs: int, seed: int) -> tuple[float, float]:
        """Its f and t."""
        chance = random.Random(f"{seed};candidate")
        mean, deviation, _ = self._logarithms
        size, other = (math.log(macs) - mean) / deviation, chance.gauss(0, 1)
        good = self.size_matters * size + math.sqrt(1 - self.size_matters**2) * other
        return 0.55 + 0.4 * NormalDist().cdf(good), 2.0 * math.exp(chance.gauss(0, 0.5))

    def seconds(self, job: Job) -> float:
        speed = math.exp(random.Random(f"{job.seed};{job.epochs};speed").gauss(0, JITTER))
        epochs = job.epochs - job.initial_epoch
        return SETUP_SECONDS + EPOCH_SECONDS * epochs * speed * _macs(job) / self._logarithms[2]


@dataclass(frozen=True)
class Recorded:
    """Accuracies and seconds of a table that record_curves.py wrote, by the name of the architecture."""

    accuracies: dict[str, list[float]]
    times: dict[str, list[float]]

    @classmethod
    def read(cls, path: Path) -> Recorded:
        """The table of a file."""
        rows = json.loads(path.read_text(encoding="utf-8"))["architectures"]
        return cls({row["name"]: row["val_accuracy"] for row in rows}, {row["name"]: row["seconds"] for row in rows})

    def accuracy(self, job: Job) -> list[float]:
        return self.accuracies[_name(job)][job.initial_epoch : job.epochs]

    def final(self, job: Job) -> float:
        return self.accuracies[_name(job)][-1]

    def seconds(self, job: Job) -> float:
        return sum(self.times[_name(job)][job.initial_epoch : job.epochs])


def _name(job: Job) -> str:
    return Architecture.from_dict(job.architecture).name


def _macs(job: Job) -> int:
    return complexity(Architecture.from_dict(job.architecture)).macs


class VirtualWorkers:
    """`workers.contract.Workers` on a clock of their own, in seconds; trials end in the order that the curves give."""

    def __init__(self, slots: int, curves: Curves) -> None:
        self.slots, self._curves = slots, curves
        self.now = 0.0
        self.busy = 0.0  # seconds of all workers
        self.submitted: list[Job] = []
        self.processor = 0.0  # seconds of this machine that are not the driver's
        self._running: list[tuple[float, int, int, Job]] = []

    def submit(self, slot: int, job: Job) -> None:
        """Start a job now."""
        begin = time.thread_time()
        seconds = self._curves.seconds(job)
        self.busy += seconds
        self.submitted.append(job)
        heapq.heappush(self._running, (self.now + seconds, len(self.submitted), slot, job))
        self.processor += time.thread_time() - begin

    def cancel(self, slot: int) -> None:
        raise NotImplementedError

    def wait(self, seconds: float) -> Message | None:
        """The next end of a trial, at once; the clock is there, or later if the driver has not kept up."""
        del seconds
        if not self._running:
            return None
        begin = time.thread_time()
        end, _, slot, job = heapq.heappop(self._running)
        self.now = max(self.now, end) + DRIVER_SECONDS
        lines = enumerate(self._curves.accuracy(job), job.initial_epoch + 1)
        history = tuple(_line(epoch, accuracy) for epoch, accuracy in lines)
        folder = Path(job.folder)
        folder.mkdir(exist_ok=True)
        text = "".join(json.dumps(line.to_dict()) + "\n" for line in history)
        (folder / HISTORY).write_text(text, encoding="utf-8")
        self.processor += time.thread_time() - begin
        return Done(slot, job.trial, history, SETUP_SECONDS)

    def close(self) -> None:
        """Nothing runs on."""
        self._running.clear()


def _line(epoch: int, accuracy: float) -> Epoch:
    return Epoch(
        epoch=epoch, loss=0.0, accuracy=accuracy, val_loss=1 - accuracy, val_accuracy=accuracy, learning_rate=0.0,
        train_seconds=0.0, validation_seconds=0.0,
    )  # fmt: skip
