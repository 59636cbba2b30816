"""Weights of keras.applications in this project's own graph, and stages that keep them.

The graphs are the same (the presets keras-resnet-50/101/152 and resnet-50/101/152-v2), so that weights go from layer
to layer; what differs is settled in the weights: see `transfer`.
"""

from __future__ import annotations

from typing import Final

import keras
import numpy as np

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.blocks import BN_EPSILON
from resnet_search.networks.imagenet import sources_of

SOURCE_EPSILON: Final = 1.001e-5  # of batch norm in keras.applications

# behind "conv2_block1_" in keras.applications, and behind "stage1_block1_" here
_PARTS: Final = {
    "1_conv": "conv1",
    "1_bn": "conv1_norm",
    "2_conv": "conv2",
    "2_bn": "conv2_norm",
    "3_conv": "conv3",
    "3_bn": "conv3_norm",
    "0_conv": "shortcut",
    "0_bn": "shortcut_norm",
}
_LATE_PARTS: Final = {**_PARTS, "preact_bn": "conv1_norm", "1_bn": "conv2_norm", "2_bn": "conv3_norm"}
_ENDS: Final = {
    "conv1_conv": "stem_conv1",
    "conv1_bn": "stem_conv1_norm",
    "post_bn": "final_norm",
    "predictions": "logits",
}


def load_imagenet(model: keras.Model, architecture: Architecture) -> None:
    """Give a model of `architecture` the ImageNet weights of keras.applications, all but the head.

    They are read from where Keras keeps them (`Source.path`); the model must standardise its images as
    `imagenet.normalisation` says. Raises `UsageError` for an architecture without such weights, and what Keras raises
    for a file that is absent or not theirs.
    """
    (source,) = sources_of([architecture])
    # The graph that Keras itself loads the file into: how the file names things is Keras's own affair.
    function = getattr(keras.applications, source.function)
    transfer(function(include_top=False, weights=str(source.path), input_shape=(224, 224, 3)), model)


def transfer(source: keras.Model, model: keras.Model) -> None:
    """Copy every weight of a ResNet of keras.applications to its layer of `model`.

    Its first version takes images blue first: the stem's kernel is turned round instead. Its batch norm has another
    epsilon: the difference goes into the moving variance, so that outputs in inference are the same.
    """
    late = any(layer.name == "post_bn" for layer in source.layers)
    for layer in source.layers:
        values = layer.get_weights()
        if not values:
            continue
        target = model.get_layer(_target(layer.name, late=late))
        if isinstance(layer, keras.layers.BatchNormalization):
            values[3] = values[3] + np.float32(SOURCE_EPSILON - BN_EPSILON)
        elif layer.name == "conv1_conv" and not late:
            values[0] = values[0][:, :, ::-1]
        target.set_weights(values)


def freeze(model: keras.Model, stages: int) -> None:
    """Let the stem and the first stages keep their weights and batch statistics; none for 0."""
    if not stages:
        return
    frozen = ("stem_", *(f"stage{stage}_" for stage in range(1, stages + 1)))
    for layer in model.layers:
        if layer.name.startswith(frozen):
            layer.trainable = False


def _target(name: str, *, late: bool) -> str:
    if name in _ENDS:
        return _ENDS[name]
    stage, block, part = name.split("_", 2)  # conv2_block1_1_conv; the stem is conv1
    number = int(stage.removeprefix("conv")) - 1
    return f"stage{number}_{block}_{(_LATE_PARTS if late else _PARTS)[part]}"
