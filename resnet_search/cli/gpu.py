"""What `run` and `train` say of the GPUs that they will train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from resnet_search.cli.text import safe
from resnet_search.report.units import counted

if TYPE_CHECKING:
    from resnet_search.cli.timing import Time
    from resnet_search.workers.cluster import Cluster


def gpu_lines(time: Time, workers: int | Cluster | None, device: str) -> Iterable[str]:
    """Yield the visible GPUs, their memory, how many workers share them and why so many; nothing without a GPU."""
    from resnet_search.workers.devices import gpu_memory, why_so_many
    from resnet_search.workers.nvidia import mps_serves, visible_gpus

    gpus = visible_gpus()
    if not gpus or time.cluster or device == "cpu":
        return
    given = workers if isinstance(workers, int) else None
    kinds = Counter((gpu.name, f"{gpu.memory / 1e9:.0f} GB" if gpu.memory else "unknown memory") for gpu in gpus)
    named = "; ".join(
        f"{f'{count} x ' if count > 1 else ''}{safe(name)}, {memory}" for (name, memory), count in kinds.items()
    )
    crew = time.crew.workers
    why = why_so_many(given, len(gpus), gpu_memory(), time.trial_bytes)
    turns = "" if crew <= len(gpus) or mps_serves() else ". Without MPS they take turns (docs/backends.md)"
    yield f"GPU        {named}: {counted(crew, 'worker')}, {why}{turns}"
