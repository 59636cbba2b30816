"""A ResNeXt training step on a CPU: this project's grouped convolution against Keras's own, in turn.

    python benchmarks/grouped_convolution.py      # ResNeXt-11, width 16, cardinality 8, 32 images; about a minute

Claim: at least 10 times faster. Keras compiles every grouped convolution with XLA, whose filter gradient is slow on a
CPU. Prints the median step of each and the ratio of each pair of rounds.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from resnet_search.networks import blocks, layers
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.model import build_model

ROUNDS = 5


class KerasGrouped(keras.layers.Conv2D):
    """Keras's own form."""

    def __init__(self, filters, kernel_size, *, groups, **kwargs):
        super().__init__(filters, kernel_size, groups=groups, **kwargs)


def build(layer):
    """A compiled ResNeXt whose grouped convolutions are `layer`."""
    blocks.GroupedConv2D = layer
    model = build_model(Architecture.from_axes(block="resnext", n=1, width=16, cardinality=8), seed=1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    return model


def main() -> None:
    """Time one step of each in turn."""
    random = np.random.default_rng(0)
    batch = random.integers(0, 256, (32, 32, 32, 3), dtype=np.uint8), random.integers(0, 10, 32)
    models = {"ours": build(layers.GroupedConv2D), "Keras": build(KerasGrouped)}
    seconds = {name: [] for name in models}
    for model in models.values():
        model.train_on_batch(*batch)  # Traces and compiles.
    for _ in range(ROUNDS):
        for name, model in models.items():
            begin = time.perf_counter()
            model.train_on_batch(*batch)
            seconds[name].append(time.perf_counter() - begin)
    ratios = [theirs / ours for ours, theirs in zip(seconds["ours"], seconds["Keras"], strict=True)]
    for name, times in seconds.items():
        print(f"{name}: median step {statistics.median(times) * 1000:.0f} ms, n = {ROUNDS}")
    print(f"ratio: median {statistics.median(ratios):.1f}, {min(ratios):.1f} to {max(ratios):.1f}")


if __name__ == "__main__":
    main()
