"""Layers that Keras lacks: standardised images, grouped convolution, fused batch norm, padded shortcut, highway gate,
and a GELU for every runtime.

Channels last.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import keras
from keras import ops

PACKAGE = "resnet_search"


@keras.saving.register_keras_serializable(package=PACKAGE)
class Standardize(keras.layers.Layer):
    """(x - mean) / std per channel, for raw images of any dtype; mean and std are configuration, not weights.

    (batch, H, W, C) in 0..255 -> the same shape in the compute dtype.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # half precision cannot represent the fractions of 0..255
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]

    def call(self, images: Any) -> Any:
        values = ops.cast(images, "float32")
        values = (values - ops.convert_to_tensor(self.mean, "float32")) / ops.convert_to_tensor(self.std, "float32")
        return ops.cast(values, self.compute_dtype)

    def compute_output_spec(self, images: Any) -> Any:
        return keras.KerasTensor(images.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        return {**config, "mean": self.mean, "std": self.std}


@cache
def native_trains() -> bool:
    """Return whether the backend's own grouped convolution is fast and differentiable here.

    It is on a GPU. On a CPU it is only with TensorFlow and oneDNN: without oneDNN the gradient is not implemented, and
    JAX's takes 19 to 62 times as long as splitting (docs/backends.md).
    """
    # List all devices, because JAX raises an error for a kind that does not exist.
    if any(device.startswith(("gpu", "cuda", "rocm")) for device in keras.distribution.list_devices()):
        return True
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    with tf.init_scope(), tf.device("cpu"):
        images, kernel = tf.ones((1, 2, 2, 2)), tf.ones((1, 1, 1, 2))
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            outputs = tf.nn.conv2d(images, kernel, 1, "VALID")
        try:
            tape.gradient(outputs, [images, kernel])
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


@keras.saving.register_keras_serializable(package=PACKAGE)
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with groups, the same kernel (kh, kw, in/groups, out) and outputs, without XLA.

    On TensorFlow, Keras compiles every grouped convolution with XLA. That makes a training step on a CPU 17 to 36 times
    as long (benchmarks/README.md), and neither ONNX nor other runtimes support its operation. `form`: "native" is the
    backend's own kernel, "split" one convolution per group, concatenated; "auto" is native if `native_trains`.
    """

    def __init__(self, filters: int, kernel_size: int, *, groups: int, form: str = "auto", **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, groups=groups, **kwargs)
        if form not in ("auto", "native", "split"):
            message = f"form is {form!r}; allowed: auto, native, split."
            raise ValueError(message)
        self.form = form

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        strides, padding = list(self.strides), self.padding
        if self.form == "split" or (self.form == "auto" and not native_trains()):
            pairs = zip(ops.split(inputs, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True)
            parts = [ops.conv(part, weights, strides, padding, "channels_last") for part, weights in pairs]
            return ops.concatenate(parts, axis=-1)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return tf.nn.conv2d(inputs, kernel, strides, padding.upper())
        return ops.conv(inputs, kernel, strides, padding, "channels_last")

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        return {**config, "form": self.form}


@keras.saving.register_keras_serializable(package=PACKAGE)
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` with one fused operation for training steps on images on TensorFlow.

    Keras computes moments and normalises in a dozen operations. Weights, inference and results equal Keras's up to
    rounding. The class has Keras's name, because Keras uses it to name the weights in its files.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable and mask is None and self._fusible(inputs)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        unused = tf.zeros((0,), "float32")
        # tf.nn's wrapper would raise a small epsilon.
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=unused,
            variance=unused,
            epsilon=self.epsilon,
        )
        # The operation returns the unbiased variance, Keras uses that of the batch.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], "float32")
        variance = variance * ((count - 1) / count)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return outputs

    def _fusible(self, inputs: Any) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == _IMAGES
            and self.axis in (-1, _IMAGES - 1)
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16")
            and self.scale
            and self.center
            and not (getattr(self, "renorm", False) or self.synchronized)  # Keras 3.10 has no renorm
        )


_IMAGES = 4  # axes of a batch of images


@keras.saving.register_keras_serializable(package=PACKAGE)
class PaddedIdentity(keras.layers.Layer):
    """Shortcut A of He et al. 2015: x[::stride, ::stride] with zero channels appended (as fb.resnet.torch does).

    (batch, H, W, C) -> (batch, ceil(H / stride), ceil(W / stride), channels).
    """

    def __init__(self, channels: int, stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.stride = stride

    def call(self, x: Any) -> Any:
        x = x[:, :: self.stride, :: self.stride, :]
        return ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, self.channels - x.shape[-1]]])

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        return {**config, "channels": self.channels, "stride": self.stride}


@keras.saving.register_keras_serializable(package=PACKAGE)
class HighwayMerge(keras.layers.Layer):
    """H·T + x·(1-T) for (H, T, x), Srivastava et al. 2015, eq. 3; T is the gate after its sigmoid."""

    def call(self, inputs: Sequence[Any]) -> Any:
        branch, gate, carried = inputs
        return branch * gate + carried * (1 - gate)


@keras.saving.register_keras_serializable(package=PACKAGE)  # type: ignore[untyped-decorator]
def gelu(x: Any) -> Any:
    """x·Φ(x), Hendrycks and Gimpel 2016, exact; with erf, because Keras uses erfc, which ONNX does not support."""
    return 0.5 * x * (1 + ops.erf(x / 2**0.5))
