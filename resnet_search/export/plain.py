"""Rebuild a network from Keras's own layers, so that Keras loads its file without this package, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from resnet_search.export.interface import INPUT, OUTPUT
from resnet_search.networks.layers import (
    BatchNormalization,
    GroupedConv2D,
    HighwayMerge,
    PaddedIdentity,
    Standardize,
    gelu,
)
from resnet_search.networks.model import recursion


def plain_model(networks: Sequence[Any]) -> Any:
    """uint8 images -> the mean of the networks' probabilities, with copies of their weights."""
    images = keras.Input(networks[0].input_shape[1:], dtype="uint8", name=INPUT)
    if len(networks) == 1:
        with recursion(len(networks[0].layers)):
            return keras.Model(images, layers.Softmax(name=OUTPUT)(_copy(networks[0], images)), name="network")
    members = []
    for number, network in enumerate(networks, 1):
        inside = keras.Input(network.input_shape[1:], dtype="uint8", name=INPUT)
        with recursion(len(network.layers)):
            member = keras.Model(inside, layers.Softmax()(_copy(network, inside)), name=f"member_{number}")
        members.append(member(images))
    return keras.Model(images, layers.Average(name=OUTPUT)(members), name="ensemble")


def _copy(network: Any, images: Any) -> Any:
    """Return the logits of a copy of a network on `images`."""
    with recursion(len(network.layers)):
        copy = keras.models.clone_model(network, input_tensors=images, clone_function=_plain)
    for layer in network.layers:
        if layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy.outputs[0]


def _plain(layer: Any) -> Any:
    """Return an equivalent layer of Keras."""
    make = _PLAIN.get(type(layer))
    if make is not None:
        return make(layer)
    config = layer.get_config()
    if getattr(layer, "activation", None) is gelu:
        config["activation"] = "gelu"
    return type(layer).from_config(config)


def _standardize(layer: Standardize) -> Any:
    scale = [1 / value for value in layer.std]
    offset = [-mean / std for mean, std in zip(layer.mean, layer.std, strict=True)]
    return layers.Rescaling(scale, offset, name=layer.name)


def _grouped(layer: GroupedConv2D) -> Any:
    config = layer.get_config()
    del config["form"]
    return layers.Conv2D.from_config(config)


def _padded(layer: PaddedIdentity) -> Any:
    """Take every `stride`-th pixel, then append zero channels."""
    inputs = keras.Input(layer.input.shape[1:])
    x = layers.MaxPooling2D(1, layer.stride, data_format="channels_last")(inputs) if layer.stride > 1 else inputs
    more = layer.channels - x.shape[-1]
    padding = ((0, 0), (0, more))
    return keras.Model(inputs, layers.ZeroPadding2D(padding, data_format="channels_first")(x), name=layer.name)


def _highway(layer: HighwayMerge) -> Any:
    """H·T + x·(1 - T) as x + T·(H - x)."""
    branch, gate, carried = (keras.Input(tensor.shape[1:]) for tensor in layer.input)
    change = layers.Multiply()([gate, layers.Subtract()([branch, carried])])
    return keras.Model([branch, gate, carried], layers.Add()([carried, change]), name=layer.name)


_PLAIN: dict[type, Callable[[Any], Any]] = {
    Standardize: _standardize,
    GroupedConv2D: _grouped,
    BatchNormalization: lambda layer: layers.BatchNormalization.from_config(layer.get_config()),
    PaddedIdentity: _padded,
    HighwayMerge: _highway,
}
