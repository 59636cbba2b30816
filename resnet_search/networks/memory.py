"""Estimate the peak memory of training: the batch's activations, the weights and the optimizer state."""

from __future__ import annotations

from typing import Final

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import Complexity, complexity

# Values held per output element of a convolution or FC: the output and its activation until the backward pass, and the
# gradients in flight. Measured as the growth of the resident set over twelve networks of all kinds (8 to 50 layers, 32
# to 128 pixels, batch 32 and 128, float32, TensorFlow 2.21, 2 cores): 2.12 to 3.35; medians of 3 processes,
# benchmarks/memory.py. The errors of the estimate follow.
VALUES_PER_ACTIVATION: Final = 2.6
LOWEST: Final = -0.22  # error of the estimate relative to the measurement
HIGHEST: Final = 0.23

WEIGHT_BYTES: Final = 12  # the weight, its gradient and one momentum, float32 in mixed precision too


def training_memory(
    a: Architecture,
    *,
    batch: int,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    half: bool = False,
) -> int:
    """Return the peak bytes of a training step with momentum, without the framework's own memory.

    half: mixed precision, whose activations take two bytes instead of four.
    """
    return memory_of(complexity(a, input_shape, classes), batch, half=half)


def memory_of(cost: Complexity, batch: int, *, half: bool = False) -> int:
    """Return the same for a network with a known cost."""
    activations = batch * cost.activations * VALUES_PER_ACTIVATION * (2 if half else 4)
    return round(activations) + WEIGHT_BYTES * cost.trainable + 4 * cost.nontrainable
