"""Random crops and flips, decided on the host from (seed, epoch) and carried out on the device.

The order of the images, the crops and the flips of an epoch are plain arrays drawn by NumPy, so they are the same on
every backend and after every resume; moving the pixels is one gather inside the compiled training step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from resnet_search.training.arrays import Arrays


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """What one epoch shows, image by image in order: index (N,), shift (N, 2) in pixels down and right, flip (N,)."""

    index: NDArray[np.int32]
    shift: NDArray[np.int32]
    flip: NDArray[np.int32]


def plan_epoch(seed: int, epoch: int, images: int, *, padding: int, flip: bool) -> EpochPlan:
    """The plan of epoch `epoch` (from 0): a function of its arguments alone."""
    random = np.random.default_rng([seed, epoch])
    return EpochPlan(
        index=random.permutation(images).astype(np.int32),
        shift=random.integers(-padding, padding + 1, size=(images, 2), dtype=np.int32),
        flip=random.integers(0, 2 if flip else 1, size=images, dtype=np.int32),
    )


def on_device(arrays: Arrays) -> Any:
    """The training images as a variable of the backend, shared by all networks that this process trains in turn.

    One of its own for each would stay in memory with the network's graph: 150 MB a trial with CIFAR-10.
    """
    images = _variable(arrays)
    if _given_away(images):
        images.assign(np.asarray(arrays.x_train))
    return images


@lru_cache(maxsize=1)
def _variable(arrays: Arrays) -> Any:
    return keras.Variable(np.asarray(arrays.x_train), dtype="uint8", trainable=False, name="images")


def _given_away(images: Any) -> bool:
    """Whether a step on JAX, which takes a model's variables over and hands them back, did not come to its end."""
    value = images._value  # noqa: SLF001 - `value` draws a new one where there is none
    return value is None or (hasattr(value, "is_deleted") and value.is_deleted())


class StoredImages(keras.layers.Layer):
    """Images kept on the device; gives those asked for, shifted and mirrored.

    Inputs: index (batch,), shift (batch, 2), flip (batch,), all int32. Output: uint8 (batch, height, width, channels).
    What a shift brings in from outside is `fill`, one grey level a channel, as padding before a crop would.
    """

    def __init__(self, images: Any, fill: tuple[float, ...], **kwargs: Any) -> None:
        super().__init__(trainable=False, dtype="uint8", **kwargs)
        self.images, self.fill = images, tuple(fill)

    def call(self, inputs: Any) -> Any:
        index, shift, flip = inputs
        _, height, width, channels = self.images.shape
        images = ops.take(self.images, index, axis=0)
        rows = ops.arange(height, dtype="int32")[None, :] - shift[:, :1]
        columns = ops.arange(width, dtype="int32")[None, :] - shift[:, 1:]
        columns = ops.where(flip[:, None] == 1, width - 1 - columns, columns)
        inside = ops.logical_and(
            ops.logical_and(rows >= 0, rows < height)[:, :, None],
            ops.logical_and(columns >= 0, columns < width)[:, None, :],
        )
        image = ops.arange(ops.shape(index)[0], dtype="int32")[:, None, None] * (height * width)
        pixel = image + ops.clip(rows, 0, height - 1)[:, :, None] * width + ops.clip(columns, 0, width - 1)[:, None, :]
        moved = ops.take(ops.reshape(images, (-1, channels)), pixel, axis=0)
        fill = ops.convert_to_tensor(np.rint(self.fill).astype("uint8"))
        return ops.where(inside[..., None], moved, fill)

    def compute_output_spec(self, inputs: Any) -> Any:
        index, _, _ = inputs
        return keras.KerasTensor((index.shape[0], *self.images.shape[1:]), dtype="uint8")
