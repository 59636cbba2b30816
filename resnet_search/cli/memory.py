"""Warn about networks that may not fit into this machine's memory before they are trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_search.cli.text import safe
from resnet_search.report.units import counted
from resnet_search.workers.cluster import Cluster

if TYPE_CHECKING:
    from resnet_search.networks.architecture import Architecture
    from resnet_search.search.counted import Counted
    from resnet_search.search.known import Known
    from resnet_search.spaces.plan import Plan
    from resnet_search.spaces.space import SearchSpace

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Tight:
    """The networks among `looked_at` whose training is estimated to need more than the `room` of each worker.

    `networks`: each with its bytes, the largest first.
    """

    room: int  # bytes
    workers: int
    batch: int
    looked_at: int
    networks: tuple[tuple[Architecture, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict: bytes by name, the largest first, and the memory of each worker."""
        needs = {one.name: size for one, size in self.networks}
        return {"bytes_per_worker": self.room, "workers": self.workers, "batch_size": self.batch, "networks": needs}


def too_large(
    space: SearchSpace,
    plan: Plan,
    images: Counted,
    known: Sequence[Known],
    options: dict[str, Any],
) -> Tight | None:
    """Return the networks of a plan and of `known` that do not fit into memory; None if all do.

    `options`: workers and device.
    Also None for a GPU or a cluster: they have their own memory, and a batch that does not fit is trained in parts.
    """
    import psutil

    from resnet_search.networks.memory import memory_of
    from resnet_search.search.memory import largest_batch
    from resnet_search.workers.devices import FRAMEWORK_BYTES, nvidia_gpus, processor_workers

    workers, device = options["workers"], options["device"]
    if isinstance(workers, Cluster) or device == "gpu" or (device == "auto" and nvidia_gpus()):
        return None
    batch = largest_batch(space, images.train)
    costs = {one.preset.architecture: one.cost for one in known}
    costs |= dict(zip(plan.feasible.architectures, plan.feasible.costs, strict=True))
    needs = [(one, FRAMEWORK_BYTES + memory_of(cost, batch)) for one, cost in costs.items()]
    count = workers or processor_workers(max(size for _, size in needs) - FRAMEWORK_BYTES)
    room = psutil.virtual_memory().total // count
    large = sorted((found for found in needs if found[1] > room), key=lambda found: -found[1])
    return Tight(room, count, batch, len(costs), tuple(large)) if large else None


def memory_lines(tight: Tight | None) -> Iterable[str]:
    """Yield the plan's note about memory, if any network may not fit."""
    if tight is None:
        return
    named = "; ".join(f"{safe(one.name)}, {size / 1e9:.3g} GB" for one, size in tight.networks[:_NAMED])
    more = f"; and {len(tight.networks) - _NAMED:,} more" if len(tight.networks) > _NAMED else ""
    each = f"each of {tight.workers} workers" if tight.workers > 1 else "this machine"
    fewer = "Use fewer --workers, smaller" if tight.workers > 1 else "Use smaller"
    yield (
        f"Memory     {len(tight.networks):,} of {counted(tight.looked_at, 'network')} may need more than the "
        f"{tight.room / 1e9:.3g} GB that {each} has: {named}{more}, with batches of {tight.batch}. "
        f"{fewer} batches or smaller networks"
    )
