"""Blocks of the dialect in Keras: `Maker` turns the units and blocks of `anatomy` into named, seeded layers.

The layers match torch's: a stride-2 convolution pads half its kernel on each side (Keras's "same" pads only one side),
and batch norm has epsilon 1e-5 and keeps 0.9 of its moving statistics.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import keras
from keras import layers

from resnet_search.networks.anatomy import Block, Squeeze, Unit
from resnet_search.networks.layers import BatchNormalization, GroupedConv2D, HighwayMerge, PaddedIdentity, gelu

BN_MOMENTUM: Final = 0.9  # kept of the moving statistics per step; Keras's 0.99 does not converge in a short rung
BN_EPSILON: Final = 1e-5  # added to the variance, as in the papers and torch; Keras's default is 1e-3
LAST: Final = "channels_last"
FUNCTIONS: Final = {"gelu": gelu}  # activations that replace Keras's


def layer_seed(seed: int | None, name: str) -> int | None:
    """Return a seed for one layer, from the network's seed and the layer's name, independent of the build order."""
    if seed is None:
        return None
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=4).digest()) >> 1


@dataclass(frozen=True, slots=True)
class Maker:
    """The settings shared by all layers; the methods add layers to a tensor (batch, H, W, C) and return the result."""

    activation: str = "relu"
    dropout: float = 0.0
    gate_bias: float = -2.0
    zero_gamma: bool = False
    weight_decay: float = 0.0
    seed: int | None = None

    def kernel(self, name: str) -> dict[str, Any]:
        """Return a layer's He-normal initialiser and decay: l2(wd/2) has the gradient wd·w of the papers."""
        decay = keras.regularizers.L2(self.weight_decay / 2) if self.weight_decay else None
        start = keras.initializers.HeNormal(seed=layer_seed(self.seed, name))
        return {"name": name, "kernel_initializer": start, "kernel_regularizer": decay}

    def norm(self, x: Any, name: str, gamma: str = "ones") -> Any:
        """Add a batch norm."""
        options = {"momentum": BN_MOMENTUM, "epsilon": BN_EPSILON, "gamma_initializer": gamma}
        return BatchNormalization(**options, name=name)(x)

    def act(self, x: Any, name: str) -> Any:
        """Add the network's activation."""
        return layers.Activation(FUNCTIONS.get(self.activation, self.activation), name=name)(x)

    def conv(self, x: Any, unit: Unit, name: str, **kwargs: Any) -> Any:
        """Add the convolution of a unit."""
        padding = "same"
        if unit.stride > 1 and unit.kernel > 1:
            x = layers.ZeroPadding2D(unit.kernel // 2, data_format=LAST, name=f"{name}_pad")(x)
            padding = "valid"
        options = {"strides": unit.stride, "padding": padding, "use_bias": unit.bias, "data_format": LAST, **kwargs}
        if unit.groups > 1:
            return GroupedConv2D(unit.outputs, unit.kernel, groups=unit.groups, **options, **self.kernel(name))(x)
        return layers.Conv2D(unit.outputs, unit.kernel, **options, **self.kernel(name))(x)

    def unit(self, x: Any, unit: Unit, name: str, gamma: str = "ones", skip: str = "") -> Any:
        """Add a convolution and the layers around it; `skip`: the first part of their sequence, already added."""
        for letter in unit.order.removeprefix(skip):
            if letter == "n":
                x = self.norm(x, f"{name}_norm", gamma)
            elif letter == "a":
                x = self.act(x, f"{name}_{self.activation}")
            elif letter == "c":
                x = self.conv(x, unit, name)
            elif self.dropout:
                seed = layer_seed(self.seed, f"{name}_dropout")
                x = layers.Dropout(self.dropout, seed=seed, name=f"{name}_dropout")(x)
        return x

    def block(self, x: Any, block: Block, name: str, drop: float = 0.0) -> Any:
        """Add merge(shortcut(x), branch(x)); `drop`: the probability that a training step leaves the branch out."""
        first, *_, last = block.branch
        skip = ""
        if block.shared:
            skip = "na"
            activated = self.norm(x, f"{name}_conv1_norm")
            x = self.act(activated, f"{name}_conv1_{self.activation}")
        branch = x
        for number, unit in enumerate(block.branch, 1):
            gamma = "zeros" if self.zero_gamma and unit is last else "ones"
            branch = self.unit(branch, unit, f"{name}_conv{number}", gamma, skip if unit is first else "")
        if block.squeeze:
            branch = self.squeeze(branch, block.squeeze, name)
        if drop:
            branch = layers.Dropout(
                drop, noise_shape=(None, 1, 1, 1), seed=layer_seed(self.seed, f"{name}_drop"), name=f"{name}_drop"
            )(branch)
        merged = self.merge(x, branch, block, name)
        return self.act(merged, f"{name}_{self.activation}") if block.after == "a" else merged

    def merge(self, x: Any, branch: Any, block: Block, name: str) -> Any:
        """Add an addition, a highway gate, or the branch alone."""
        if block.merge == "none":
            return branch
        carried = self.shortcut(x, block, f"{name}_shortcut")
        if block.gate:
            start = keras.initializers.Constant(self.gate_bias)
            gate = self.conv(x, block.gate, f"{name}_gate", activation="sigmoid", bias_initializer=start)
            return HighwayMerge(name=f"{name}_highway")([branch, gate, carried])
        return layers.Add(name=f"{name}_add")([carried, branch])

    def shortcut(self, x: Any, block: Block, name: str) -> Any:
        """Add the shortcut of x past the branch."""
        if block.projection:
            if block.shortcut == "avgpool":  # ResNet-D of He et al. 2019: every pixel counts; "same" leaves pads out
                x = layers.AveragePooling2D(2, padding="same", data_format=LAST, name=f"{name}_pool")(x)
            return self.unit(x, block.projection, name)
        if block.stride > 1 or block.inputs != block.outputs:
            return PaddedIdentity(block.outputs, block.stride, name=name)(x)
        return x

    def squeeze(self, x: Any, squeeze: Squeeze, name: str) -> Any:
        """Add squeeze-and-excitation (Hu et al. 2018, eq. 2 to 4), which scales the branch's channels by 0..1."""
        scale = layers.GlobalAveragePooling2D(keepdims=True, data_format=LAST, name=f"{name}_squeeze")(x)
        for width, activation, part in (
            (squeeze.squeezed, FUNCTIONS.get(self.activation, self.activation), "reduce"),
            (squeeze.channels, "sigmoid", "excite"),
        ):
            options = {"activation": activation, "use_bias": squeeze.bias, **self.kernel(f"{name}_{part}")}
            scale = layers.Dense(width, **options)(scale)
        return layers.Multiply(name=f"{name}_scale")([x, scale])
