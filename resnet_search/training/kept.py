"""Keep compiled networks in this process for promotions, because compiling takes about as long as a short epoch."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from resnet_search.training.job import Job

# A worker trains much of a rung before it gets a promotion. Measured on a CPU: 18 MB for a network of 8 layers, in
# addition to the 7 MB that TensorFlow keeps anyway.
MOST = 6
# Bytes of weights, momentum and averages of all kept networks, in the memory that networks train in.
MOST_BYTES = 256 * 2**20


class Kept:
    """Trainers by candidate, the last used at the end. A trainer is taken out to train, and dropped if that fails."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._trainers: OrderedDict[tuple[str, int], tuple[Any, int]] = OrderedDict()

    def take(self, job: Job, arrays: Any) -> Any:
        """Return the trainer of this job's candidate on the same arrays, or None."""
        trainer, _ = self._trainers.pop(_key(job, arrays), (None, 0))
        return trainer

    def keep(self, job: Job, arrays: Any, trainer: Any, size: int) -> None:
        """Keep a trainer of `size` bytes; drop the least recently used ones."""
        self._trainers[_key(job, arrays)] = trainer, size
        while len(self._trainers) > self.most or sum(size for _, size in self._trainers.values()) > self.most_bytes:
            self._trainers.popitem(last=False)

    def forget(self) -> bool:
        """Drop all trainers; return whether there were any."""
        some = bool(self._trainers)
        self._trainers.clear()
        return some


def _key(job: Job, arrays: Any) -> tuple[str, int]:
    """Return the part of a job that a trainer is built from; the rest is only where training starts and ends."""
    candidate = replace(job, trial="", folder="", parent=None, initial_epoch=0, epochs=0)
    return json.dumps(candidate.to_dict(), sort_keys=True), id(arrays)


KEPT = Kept()
