"""The time that a plan takes, with the workers of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_search.cli.text import roughly
from resnet_search.report.units import counted
from resnet_search.spaces.timing import PASSES, Crew, Estimate, Images, Speed, estimate

if TYPE_CHECKING:
    from resnet_search.networks.complexity import Complexity
    from resnet_search.search.counted import Counted
    from resnet_search.search.known import Known
    from resnet_search.spaces.plan import Plan
    from resnet_search.spaces.space import SearchSpace

# Times are given for so many images if their number is unknown before they are read.
UNKNOWN_IMAGES = Images(10_000, 1_000)


@dataclass(frozen=True, slots=True)
class Time:
    """How long a plan takes. `cluster`: whether the number of workers is only known when the cluster is connected.

    `trial_bytes`: the memory that training the largest network takes.
    """

    plan: Plan
    speed: Speed
    crew: Crew
    images: Images | None
    estimate: Estimate
    cluster: bool
    trial_bytes: int

    def lines(self) -> Iterable[str]:
        """Yield the time, for how many workers and images it is, and where the speed comes from."""
        each = self.images or UNKNOWN_IMAGES
        per = f"{each.train:,} training images" if self.images else f"every {each.train:,} training images"
        crew = counted(self.crew.workers, "worker") + (" (the cluster may have more)" if self.cluster else "")
        most = "at most " if self.plan.draws_again else ""
        low, high = (roughly(one).removeprefix("about ") for one in (self.estimate.low, self.estimate.high))
        span = f"{low} to {high}" if low != high else low
        yield f"Time       {most}{roughly(self.estimate.likely)} ({span}) with {crew} and {per}"
        mean = sum(self.speed.epoch_seconds(cost, each, self.crew.threads) for cost in self._costs) / len(self._costs)
        yield (
            f"Speed      {_seconds(self.speed.trial_seconds)} to set a trial up, {_seconds(mean)} an epoch on average; "
            f"{self.speed.source}"
        )

    @property
    def _costs(self) -> Sequence[Complexity]:
        return self.plan.feasible.costs

    def to_dict(self) -> dict[str, Any]:
        """Return the speed, the workers and the time, JSON-able."""
        mean = sum(map(self.speed.image_seconds, self._costs)) / len(self._costs)
        return {
            "speed": {
                "macs_per_second": self.crew.workers * self.crew.share * PASSES * self.plan.mean_macs / mean,
                "trial_seconds": self.speed.trial_seconds,
                "source": self.speed.source,
            },
            "workers": self.crew.workers,
            "seconds": self.estimate.likely if self.images else None,
            "seconds_range": [self.estimate.low, self.estimate.high] if self.images else None,
        }


def _seconds(time: float) -> str:
    return f"{time:.2g} s" if time < 100 else f"{time:,.0f} s"  # noqa: PLR2004 - two digits


def time_of(
    space: SearchSpace,
    plan: Plan,
    images: Counted,
    known: Sequence[Known],
    options: dict[str, Any],
) -> Time:
    """Estimate the time of a plan and of known networks. `options`: runs_dir, workers, threads and device."""
    from resnet_search.networks.memory import memory_of
    from resnet_search.runs.speed import crew_of, machine_speed
    from resnet_search.search.memory import largest_batch
    from resnet_search.workers.cluster import Cluster

    costs = [*plan.feasible.costs, *(one.cost for one in known)]
    most = max(memory_of(cost, largest_batch(space, images.train)) for cost in costs)
    speed = machine_speed(options["runs_dir"], costs, options["device"])
    crew = crew_of(options["workers"], options["threads"], options["device"], most)
    counted_images = None if images.train is None else Images(images.train, images.validation or 0)
    time = estimate(plan, speed, counted_images or UNKNOWN_IMAGES, crew, tuple(one.cost for one in known))
    return Time(plan, speed, crew, counted_images, time, isinstance(options["workers"], Cluster), most)
