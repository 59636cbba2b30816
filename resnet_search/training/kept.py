"""Compiled networks of this process that a promotion may go on with: compiling takes about as long as a short epoch."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from resnet_search.training.job import Job

# A worker sees much of a rung go by before it is asked for a promotion. Measured on a CPU: 18 MB for a network of 8
# layers, beyond the 7 MB that stay with TensorFlow anyway.
MOST = 6
# Weights, momentum and average of all, in the memory that networks train in.
MOST_BYTES = 256 * 2**20


class Kept:
    """Trainers by candidate, the one used last at the end. One is taken out while it trains, and lost if that fails."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._trainers: OrderedDict[tuple[str, int], tuple[Any, int]] = OrderedDict()

    def take(self, job: Job, arrays: Any) -> Any:
        """The trainer of this job's candidate on the same arrays, or None."""
        trainer, _ = self._trainers.pop(_key(job, arrays), (None, 0))
        return trainer

    def keep(self, job: Job, arrays: Any, trainer: Any, size: int) -> None:
        """Keep a trainer of `size` bytes, at the cost of those used least lately."""
        self._trainers[_key(job, arrays)] = trainer, size
        while len(self._trainers) > self.most or sum(size for _, size in self._trainers.values()) > self.most_bytes:
            self._trainers.popitem(last=False)

    def forget(self) -> bool:
        """Let go of all; whether there were any."""
        some = bool(self._trainers)
        self._trainers.clear()
        return some


def _key(job: Job, arrays: Any) -> tuple[str, int]:
    """What a trainer is built from; the rest of a job says only where it starts, and how far it goes."""
    candidate = replace(job, trial="", folder="", parent=None, initial_epoch=0, epochs=0)
    return json.dumps(candidate.to_dict(), sort_keys=True), id(arrays)


KEPT = Kept()
