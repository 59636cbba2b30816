"""SGD, and Muon (Jordan et al. 2024): SGD with momentum that orthogonalises the steps of convolution kernels.

Keras's own `keras.optimizers.Muon` orthogonalises matrices only. The kernels of convolutions, which have four axes, it
trains with Adam.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops


class SGD(keras.optimizers.SGD):
    """Keras's SGD; on TensorFlow with one operation per variable instead of ten, which take time to compile."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if keras.backend.backend() != "tensorflow" or not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class Muon(SGD):
    """SGD with momentum, whose step of a kernel becomes the nearest semi-orthogonal matrix, scaled to a fixed size.

    A kernel of height h, width w, i input and o output channels is taken as a matrix of shape (h*w*i, o). Everything
    else is trained by SGD. The size of a kernel's step is such that one learning rate suits both.

    decay: the share by which kernels shrink in a step of rate 1, independent of the gradient (Loshchilov and Hutter
    2019).
    """

    def __init__(self, *args: Any, decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.decay = decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take a step of one variable."""
        if len(variable.shape) != _KERNEL_AXES:
            super().update_step(gradient, variable, learning_rate)
            return
        step = gradient
        if self.momentum:
            momentum = self.momentums[self._get_variable_index(variable)]
            moved = self.momentum * momentum + gradient
            self.assign(momentum, moved)
            step = gradient + self.momentum * moved if self.nesterov else moved
        change = _change(step, ops.cast(variable, variable.dtype), self.decay)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * change)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay}


def _traced_by_shape(function: Callable[..., Any]) -> Callable[..., Any]:
    """On TensorFlow, trace a function once for each shape instead of once for each kernel: less time to compile."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    traced: Callable[..., Any] = tf.function(function, autograph=False)
    return traced


@_traced_by_shape
def _change(step: Any, kernel: Any, decay: float) -> Any:
    """Return what is subtracted from a kernel at a rate of 1.

    Orthogonal matrices of shape (rows, columns) have a root mean square of 1 / sqrt(max(rows, columns)); without it,
    steps of all kernels have the same (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2).
    """
    outputs = kernel.shape[-1]
    inputs = math.prod(kernel.shape[:-1])
    direction = ops.reshape(orthogonal(ops.reshape(step, (inputs, outputs))), kernel.shape)
    return _STEP * math.sqrt(max(inputs, outputs)) * direction + decay * kernel


def orthogonal(matrix: Any) -> Any:
    """Return about U V^T of the singular value decomposition U S V^T of a matrix (rows, columns).

    Five steps of the Newton-Schulz iteration of Jordan et al., which chose speed: singular values end between about 0.7
    and 1.2.
    """
    rows, columns = matrix.shape
    if rows > columns:
        return ops.transpose(orthogonal(ops.transpose(matrix)))
    x = matrix / (ops.norm(matrix) + 1e-7)
    for _ in range(5):
        gram = ops.matmul(x, ops.transpose(x))
        x = _A * x + ops.matmul(_B * gram + _C * ops.matmul(gram, gram), x)
    return x


_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEP = 0.2  # root mean square of a kernel's step at a rate of 1, as in Liu et al.
_KERNEL_AXES = 4
