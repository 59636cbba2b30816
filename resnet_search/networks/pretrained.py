"""Weights of keras.applications in this project's own graph, with a new head and, if asked, frozen stages.

The graphs are the same (the presets keras-resnet-50/101/152 and resnet-50/101/152-v2), so that weights go from layer
to layer; what differs is settled in the weights: see `transfer`.
"""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np

from resnet_search.errors import UsageError
from resnet_search.networks.blocks import BN_EPSILON
from resnet_search.networks.model import build_model
from resnet_search.networks.presets import preset

SOURCES: Final = {  # preset: function of keras.applications
    **{f"keras-resnet-{depth}": f"ResNet{depth}" for depth in (50, 101, 152)},
    **{f"resnet-{depth}-v2": f"ResNet{depth}V2" for depth in (50, 101, 152)},
}
CAFFE: Final = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))  # mean and std, red first, of the first version
SYMMETRIC: Final = ((127.5,) * 3, (127.5,) * 3)  # of V2: -1..1
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


def build_pretrained(
    name: str,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | None = "imagenet",
    frozen_stages: int = 0,
    weight_decay: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """A preset of `SOURCES` with the weights of keras.applications: "imagenet", a weights file, or none (random).

    The head is new unless there are 1000 classes, so that no weight of it is taken that has another meaning.
    frozen_stages: of the 4 stages, how many from the image on (the stem with the first) do not train.
    Raises `UsageError` for another preset or number of stages; Keras raises where the weights cannot be fetched.
    """
    if name not in SOURCES:
        raise UsageError(f"init is 'imagenet' and model {name!r}; allowed: {', '.join(SOURCES)}.")
    stages = len(preset(name).architecture.blocks)
    if not 0 <= frozen_stages <= stages:
        raise UsageError(f"frozen_stages is {frozen_stages}; allowed: 0 to {stages}.")
    whole = classes == preset(name).classes
    options: dict[str, Any] = {"classes": classes, "classifier_activation": None} if whole else {}
    source = getattr(keras.applications, SOURCES[name])(
        include_top=whole, weights=weights, input_shape=None if whole and weights else input_shape, **options
    )
    mean, std = SYMMETRIC if name.endswith("v2") else CAFFE
    model = build_model(
        preset(name).architecture,
        input_shape=input_shape,
        classes=classes,
        mean=mean,
        std=std,
        weight_decay=weight_decay,
        seed=seed,
    )
    transfer(source, model)
    freeze(model, frozen_stages)
    return model


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
