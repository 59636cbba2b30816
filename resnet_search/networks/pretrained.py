"""Copy weights of keras.applications into this project's graph, and freeze stages.

The graphs are the same (the presets keras-resnet-50/101/152 and resnet-50/101/152-v2), so weights are copied layer by
layer; `transfer` adjusts them for the remaining differences.
"""

from __future__ import annotations

from typing import Final

import keras
import numpy as np

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.blocks import BN_EPSILON
from resnet_search.networks.imagenet import sources_of

SOURCE_EPSILON: Final = 1.001e-5  # batch norm's in keras.applications

# Suffixes after "conv2_block1_" in keras.applications, and after "stage1_block1_" here.
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
    """Load the ImageNet weights of keras.applications into a model of `architecture`, except the head.

    They are read from Keras's cache (`Source.path`); the model must standardise its images with
    `imagenet.normalisation`. Raises `UsageError` for an architecture without such weights, and Keras's error for a file
    that is absent or has other content.
    """
    (source,) = sources_of([architecture])
    # Keras loads the file into its own graph, so the names in the file do not matter here.
    function = getattr(keras.applications, source.function)
    transfer(function(include_top=False, weights=str(source.path), input_shape=(224, 224, 3)), model)


def transfer(source: keras.Model, model: keras.Model) -> None:
    """Copy every weight of a ResNet of keras.applications to its layer of `model`.

    Version 1 expects blue first: the stem's kernel is reversed to match. Its batch norm has another epsilon: the
    difference is added to the moving variance, so that inference gives the same outputs.
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
    """Freeze the weights and batch statistics of the stem and the first `stages` stages; nothing for 0."""
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
