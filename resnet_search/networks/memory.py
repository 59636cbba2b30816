"""Peak memory of training, as an estimate: what the batch's activations, the weights and the optimizer hold at once."""

from __future__ import annotations

from typing import Final

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity

# Values held for each element that a convolution or FC puts out: that output and the activation behind it until the
# backward pass has used them, and the gradients in flight. Measured as the growth of the resident set over ten
# networks (plain to highway, SE, 8 to 29 layers, 32x32, batch 128, float32, TensorFlow 2.21, CPU): 2.07 to 3.22,
# so that the estimate is 19 % below to 26 % above what was measured; n = 1 each.
VALUES_PER_ACTIVATION: Final = 2.6
LOWEST: Final = -0.19  # error of the estimate, of what was measured
HIGHEST: Final = 0.26

WEIGHT_BYTES: Final = 12  # the weight, its gradient and one momentum, float32 in mixed precision too


def training_memory(
    a: Architecture,
    *,
    batch: int,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    half: bool = False,
) -> int:
    """Bytes at the peak of a training step with momentum, beside what the framework itself takes.

    half: mixed precision, whose activations take two bytes instead of four.
    """
    cost = complexity(a, input_shape, classes)
    activations = batch * cost.activations * VALUES_PER_ACTIVATION * (2 if half else 4)
    return round(activations) + WEIGHT_BYTES * cost.trainable + 4 * cost.nontrainable
