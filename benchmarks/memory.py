"""Peak memory of a training step on a CPU against the estimate of `networks.memory`: what error does it have?

    python benchmarks/memory.py          # 12 networks, 3 processes each, one after the other; about 10 minutes

For each network a process of its own builds it, takes two steps of one image, and then three steps of a whole batch.
Measured is how far the resident set grew in those beyond where it stood before; the estimate is taken between the same
two batches, so that neither the framework nor the weights count. Float32, SGD with momentum. Memory is no timing: what
else runs on the machine changes nothing. Prints a line for each network and the range of the error.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 3
STEPS = 3
NETWORKS = [  # axes, side of the images, batch
    ({"block": "basic", "n": 3, "width": 16}, 32, 128),
    ({"block": "basic", "n": 1, "width": 32}, 32, 128),
    ({"block": "plain", "n": 3, "width": 16}, 32, 128),
    ({"block": "bottleneck", "n": 3, "width": 16}, 32, 128),
    ({"block": "resnext", "n": 2, "width": 16, "cardinality": 4}, 32, 128),
    ({"block": "preact_basic", "n": 3, "width": 16}, 32, 128),
    ({"block": "preact_bottleneck", "n": 3, "width": 16}, 32, 128),
    ({"block": "wide", "n": 2, "width": 64}, 32, 128),
    ({"block": "basic", "n": 3, "width": 16, "attention": "se"}, 32, 128),
    ({"block": "highway", "n": 3, "width": 16}, 32, 128),
    ({"block": "basic", "blocks": [2, 2, 2, 2], "width": 32}, 64, 32),
    ({"block": "bottleneck", "blocks": [3, 4, 6, 3], "width": 32, "stem": "imagenet"}, 128, 32),
]


def resident(kind: str) -> int:
    """Bytes of this process: "VmRSS" now, "VmHWM" at its peak."""
    found = re.search(rf"{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None  # noqa: S101 - Linux has both
    return 1024 * int(found[1])


def child(number: int) -> None:
    """Measure one network; prints the growth in bytes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np

    from resnet_search.networks.architecture import Architecture
    from resnet_search.networks.model import build_model

    axes, side, batch = NETWORKS[number]
    model = build_model(Architecture.from_axes(**axes), input_shape=(side, side, 3), seed=1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), loss, jit_compile=False)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    labels = random.integers(0, 10, batch)
    for _ in range(2):
        model.train_on_batch(images[:1], labels[:1])
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    for _ in range(STEPS):
        model.train_on_batch(images, labels)
    print(json.dumps(resident("VmHWM") - before))


def main() -> None:
    """Print growth, estimate and error of each network, and the range."""
    from resnet_search.networks.architecture import Architecture
    from resnet_search.networks.complexity import complexity
    from resnet_search.networks.memory import training_memory

    errors = []
    for number, (axes, side, batch) in enumerate(NETWORKS):
        grown = []
        for _ in range(ROUNDS):
            done = subprocess.run([sys.executable, __file__, str(number)], capture_output=True, text=True, check=True)
            grown.append(json.loads(done.stdout.splitlines()[-1]))
        a, shape = Architecture.from_axes(**axes), (side, side, 3)
        whole, one = (training_memory(a, batch=size, input_shape=shape) for size in (batch, 1))
        median = statistics.median(grown)
        errors.append((whole - one) / median - 1)
        values = median / (4 * (batch - 1) * complexity(a, shape).activations)
        print(
            f"{a.name:<34} {side:>3} px, batch {batch:>3}: grew {median / 2**20:5.0f} MiB "
            f"({min(grown) / 2**20:.0f} to {max(grown) / 2**20:.0f}), estimate {(whole - one) / 2**20:5.0f} MiB, "
            f"error {errors[-1]:+.0%}, {values:.2f} values for each activation",
            flush=True,
        )
    print(f"error of the estimate: {min(errors):+.0%} to {max(errors):+.0%}, n = {ROUNDS} processes each")


if __name__ == "__main__":
    child(int(sys.argv[1])) if len(sys.argv) > 1 else main()
