"""Build the Keras model of an architecture: raw images in, logits out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import keras
from keras import layers

from resnet_search.networks.anatomy import anatomy
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.blocks import LAST, Maker
from resnet_search.networks.layers import Standardize
from resnet_search.networks.precision import FLOAT32, MIXED, WIDE, is_wide

CIFAR_MEAN: Final = (125.3069, 122.9504, 113.8660)  # 50,000 training images of CIFAR-10; red, green, blue
CIFAR_STD: Final = (62.9932, 62.0887, 66.7049)

LAYERS_PER_BLOCK: Final = 20  # most layers in a row; a pre-activated bottleneck with SE has 15


def build_model(
    a: Architecture,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    mean: Sequence[float] = CIFAR_MEAN,
    std: Sequence[float] = CIFAR_STD,
    weight_decay: float = 0.0,
    seed: int | None = None,
    precision: str | None = None,
) -> keras.Model:
    """Build a flat functional model: (batch, H, W, C) of 0..255 in any dtype -> (batch, classes) float32 logits.

    mean, std: per channel, in 0..255; the first layer standardises with them and has no weights.
    weight_decay: the papers' wd, whose gradient is wd·w, on kernels only.
    seed: the same seed gives the same weights in every process, layer by layer; None: different weights every time.
    precision: one of `networks.precision`; None for Keras's policy.
    Depth, widths and counts equal those of `complexity` for the same arguments.
    """
    make = Maker(a.activation, a.dropout, a.gate_bias, a.zero_gamma, weight_decay, seed)
    with _computing_in(FLOAT32 if precision == WIDE else precision):
        standardize = Standardize(mean, std, name="standardize")
        return _build(a, make, input_shape, classes, standardize, wide=precision == WIDE)


def _build(
    a: Architecture, make: Maker, input_shape: tuple[int, int, int], classes: int, standardize: Standardize, *,
    wide: bool,
) -> keras.Model:  # fmt: skip
    network = anatomy(a, input_shape[-1])
    images = keras.Input(input_shape, name="images")
    x = standardize(images)
    for number, unit in enumerate(network.stem, 1):
        x = make.unit(x, unit, f"stem_conv{number}")
    if network.pool:
        x = layers.ZeroPadding2D(1, data_format=LAST, name="stem_pool_pad")(x)
        x = layers.MaxPooling2D(3, 2, data_format=LAST, name="stem_pool")(x)
    done, total = 0, sum(a.blocks)
    for stage, (parts, count) in enumerate(zip(network.stages, a.blocks, strict=True), 1):
        for number, block in enumerate(parts.expand(count), 1):
            done += 1
            drop = a.stochastic_depth * done / total  # 1 - p_l, eq. 4 of Huang et al. 2016
            with _computing_in(MIXED if wide and is_wide(block) else None):
                x = make.block(x, block, f"stage{stage}_block{number}", drop)
    if network.final_norm:
        x = make.act(make.norm(x, "final_norm"), f"final_{a.activation}")
    x = layers.GlobalAveragePooling2D(data_format=LAST, dtype="float32", name="pool")(x)
    logits = layers.Dense(classes, dtype="float32", **make.kernel("logits"))(x)
    with recursion(LAYERS_PER_BLOCK * total):
        return keras.Model(images, logits, name=a.name)


@contextmanager
def _computing_in(policy: str | None) -> Iterator[None]:
    """Make the layers of the block follow a policy; None keeps the current one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def recursion(more: int) -> Iterator[None]:
    """Raise the recursion limit: Keras walks from the logits to the images with a frame or two per layer (`more`)."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + more)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
