"""How many architectures a second are costed: parameters, multiply-adds and activations, by arithmetic.

    python benchmarks/costing.py        # 12,288 architectures, 5 rounds; a few seconds

Claim: 100,000 a second or more on one core, so that a space of a million is counted in seconds.
"""

from __future__ import annotations

import statistics
import time
from itertools import product

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity

ROUNDS = 5


def main() -> None:
    """Print the median rate over all rounds, and the slowest, which is the first: caches are cold."""
    architectures = [
        Architecture(block=block, blocks=blocks, width=width, shortcut=shortcut, attention=attention)
        for block, blocks, width, shortcut, attention in product(
            ("basic", "bottleneck", "preact_basic"), product(range(1, 9), repeat=3), (8, 16, 24, 32),
            ("projection",), ("none", "se"),
        )
    ]  # fmt: skip
    rates = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for architecture in architectures:
            complexity(architecture)
        rates.append(len(architectures) / (time.perf_counter() - begin))
    print(f"{len(architectures):,} architectures, {ROUNDS} rounds: median {statistics.median(rates):,.0f} a second, "
          f"slowest {min(rates):,.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
