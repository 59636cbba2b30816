"""Random crops and flips, drawn on the host from (seed, epoch) and applied on the device.

NumPy draws the order, crops and flips of an epoch as plain arrays, so they are the same on every backend and after
every resume. A single gather inside the compiled training step moves the pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import psutil
from keras import ops
from numpy.typing import NDArray

from resnet_search.training.arrays import Arrays


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """The sequence of images of one epoch: index (N,), shift (N, 2) in pixels down and right, flip (N,)."""

    index: NDArray[np.int32]
    shift: NDArray[np.int32]
    flip: NDArray[np.int32]


def plan_epoch(seed: int, epoch: int, images: int, *, padding: int, flip: bool) -> EpochPlan:
    """Return the plan of epoch `epoch` (from 0), which depends only on the arguments."""
    random = np.random.default_rng([seed, epoch])
    return EpochPlan(
        index=random.permutation(images).astype(np.int32),
        shift=random.integers(-padding, padding + 1, size=(images, 2), dtype=np.int32),
        flip=random.integers(0, 2 if flip else 1, size=images, dtype=np.int32),
    )


def plan_inputs(image_shape: tuple[int, int, int] | None) -> list[Any]:
    """Return the inputs of `StoredImages`, for images of this shape instead of an index unless it is None."""
    if image_shape is None:
        first = keras.Input((), dtype="int32", name="index")
    else:
        first = keras.Input(image_shape, dtype="uint8", name="image")
    return [first, keras.Input((2,), dtype="int32", name="shift"), keras.Input((), dtype="int32", name="flip")]


def on_device(arrays: Arrays) -> Any:
    """Return the training images as a variable of the backend, shared by all networks that this process trains.

    A separate variable for each would stay in memory with the network's graph: 150 MB per trial with CIFAR-10.
    None if the images would take more than half of the memory, or do not fit: then each batch is read from `arrays`,
    with the same result.
    """
    images = _variable(arrays)
    if images is not None and _given_away(images):
        images.assign(np.asarray(arrays.x_train))
    return images


@lru_cache(maxsize=1)
def _variable(arrays: Arrays) -> Any:
    if arrays.x_train.nbytes > _memory() / 2:
        return None
    try:
        return keras.Variable(np.asarray(arrays.x_train), dtype="uint8", trainable=False, name="images")
    except Exception:  # noqa: BLE001 - an error of the device itself comes again with the network, and is reported then
        return None


def _memory() -> float:
    """Return the bytes that this process may take on its device."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            shares = tf.config.get_logical_device_configuration(gpu)
            return float(shares[0].memory_limit * 2**20) if shares else math.inf
        return float(psutil.virtual_memory().available)
    import jax

    known = jax.local_devices()[0].memory_stats() or {}
    return float(known.get("bytes_limit", psutil.virtual_memory().available))


def _given_away(images: Any) -> bool:
    """Return whether a step on JAX failed: it takes over a model's variables and gives them back only at its end."""
    value = images._value  # noqa: SLF001 - `value` would make a new one
    return value is None or (hasattr(value, "is_deleted") and value.is_deleted())


class StoredImages(keras.layers.Layer):
    """Keeps the images on the device, and returns the requested ones, shifted and mirrored.

    Inputs: index (batch,), shift (batch, 2), flip (batch,), all int32. Output: uint8 (batch, height, width, channels).
    Pixels from outside the image are `fill`, one grey level per channel, like padding before a crop.
    images: None if they are not on the device; then the first input is the images of the batch, instead of the index.
    """

    def __init__(self, images: Any, fill: tuple[float, ...], **kwargs: Any) -> None:
        super().__init__(trainable=False, dtype="uint8", **kwargs)
        self.images, self.fill = images, tuple(fill)

    def call(self, inputs: Any) -> Any:
        images, shift, flip = inputs
        if self.images is not None:
            images = ops.take(self.images, images, axis=0)
        height, width, channels = images.shape[1:]
        rows = ops.arange(height, dtype="int32")[None, :] - shift[:, :1]
        columns = ops.arange(width, dtype="int32")[None, :] - shift[:, 1:]
        columns = ops.where(flip[:, None] == 1, width - 1 - columns, columns)
        inside = ops.logical_and(
            ops.logical_and(rows >= 0, rows < height)[:, :, None],
            ops.logical_and(columns >= 0, columns < width)[:, None, :],
        )
        image = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * (height * width)
        pixel = image + ops.clip(rows, 0, height - 1)[:, :, None] * width + ops.clip(columns, 0, width - 1)[:, None, :]
        moved = ops.take(ops.reshape(images, (-1, channels)), pixel, axis=0)
        fill = ops.convert_to_tensor(np.rint(self.fill).astype("uint8"))
        return ops.where(inside[..., None], moved, fill)

    def compute_output_spec(self, inputs: Any) -> Any:
        first, _, _ = inputs
        images = first if self.images is None else self.images
        return keras.KerasTensor((first.shape[0], *images.shape[1:]), dtype="uint8")
