"""How long a plan takes: the work of its trials by arithmetic, at the speed of a machine, and the range to expect."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resnet_search.networks.complexity import Complexity
from resnet_search.spaces.plan import Plan

# Forward and backward pass together: the gradients of inputs and of weights cost a forward pass each.
PASSES = 3
START_SECONDS = 10.0  # to read images and to start the workers
EXPORT_SECONDS = 30.0  # to export the best network; in the upper end only, since the export can be left out
_DRAWN_AGAIN = 0.7  # of the time, if candidates that are drawn again are not trained again


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers that train at the same time, with `threads` each, and the processors or GPUs that they share."""

    workers: int = 1
    threads: int = 1
    processors: int = 1

    @property
    def share(self) -> float:
        """Return the share of its time that a worker has its processors to itself."""
        return min(1.0, self.processors / (self.workers * self.threads))


@dataclass(frozen=True, slots=True)
class Images:
    """Numbers of images that an epoch trains on, and that it is validated on."""

    train: int
    validation: int = 0


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds that a worker of one thread takes for a trial besides its epochs, and for an image in training.

    An image takes `mac_seconds` for each multiply-add of its passes and `activation_seconds` for each activation, on
    which narrow networks spend their time. `error`: factor that times may be wrong by; `source`: where these numbers
    come from.
    """

    trial_seconds: float
    mac_seconds: float
    activation_seconds: float
    error: float
    source: str

    def image_seconds(self, cost: Complexity) -> float:
        """Return the seconds of a training step for each of its images."""
        return PASSES * cost.macs * self.mac_seconds + cost.activations * self.activation_seconds

    def epoch_seconds(self, cost: Complexity, images: Images, threads: int = 1, validations: float = 1) -> float:
        """Return the seconds of an epoch with its `validations`, which have no backward pass.

        The root of the threads: small networks gain little from further threads, large ones nearly all.
        """
        shown = images.train + validations * images.validation / PASSES
        return self.image_seconds(cost) * shown / math.sqrt(threads)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds that a plan takes: at least, probably, and at most."""

    low: float
    likely: float
    high: float


def estimate(plan: Plan, speed: Speed, images: Images, crew: Crew, known: tuple[Complexity, ...] = ()) -> Estimate:
    """Estimate the time of a plan on a crew. `known`: costs of further networks, each trained for all epochs.

    Workers wait for each other at the end of rungs: the time is between the work divided by the workers, and that plus
    the longest trial (Graham's bounds for lists of jobs).
    """
    costs = plan.feasible.costs
    validations = plan.validations / plan.epochs
    seconds = [speed.epoch_seconds(cost, images, crew.threads, validations) for cost in costs]
    mean = math.fsum(seconds) / len(seconds)
    last = plan.brackets[-1].rungs[-1].epochs
    longest = speed.trial_seconds + last * mean
    work = plan.trials * speed.trial_seconds + plan.epochs * mean
    after = _final_seconds(plan, speed, mean, crew)
    for cost in known:
        own = speed.trial_seconds + last * speed.epoch_seconds(cost, images, crew.threads)
        work, longest = work + own, max(longest, own)
    least = max(work / crew.workers, longest) / crew.share
    most = (work / crew.workers + (1 - 1 / crew.workers) * longest) / crew.share
    # The networks that are drawn cost more or less than the mean of all.
    spread = math.sqrt(math.fsum((one / mean - 1) ** 2 for one in seconds) / len(seconds) / max(1, plan.candidates))
    low = (least * (_DRAWN_AGAIN if plan.draws_again else 1.0) + after) / speed.error / (1 + spread)
    high = (most + after) * speed.error * (1 + spread) + START_SECONDS + EXPORT_SECONDS
    return Estimate(low, (least + most) / 2 + after + START_SECONDS, high)


def _final_seconds(plan: Plan, speed: Speed, epoch: float, crew: Crew) -> float:
    """Return the seconds of the final training: finalists side by side, and the winner on all processors.

    `epoch`: seconds of an epoch on a worker.
    """
    if plan.final_epochs is None:
        return 0.0
    turns = math.ceil(plan.finalists / crew.workers)
    longest, until = plan.brackets[-1].rungs[-1].epochs, plan.finalists_until
    alone = epoch / math.sqrt(crew.workers)
    together = turns * (speed.trial_seconds + (until - longest) * epoch)
    return together / crew.share + speed.trial_seconds + (plan.final_epochs - until) * alone
