"""What the tests of the networks share: the goldens as architectures, and counts taken from a built model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import Complexity

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def architecture_of(key: str) -> Architecture:
    """The architecture that a key of cifar10.json means, as "SE-v1-20 r16 fc-bias optA"."""
    axes: dict[str, Any] = {}
    words = key.split()
    kind, *size = words[0].removeprefix("SE-").split("-")
    bottleneck = "bott" in key
    if key.startswith("SE-"):
        axes |= {"attention": "se", "attention_bias": "fc-bias" in words or "bias" in words}
    if "optA" in words:
        axes["shortcut"] = "identity"
    if "optC" in words:
        axes["shortcut"] = "all_projection"
    if "projection" in words:
        axes["shortcut_norm"] = False
    if kind == "ResNeXt":
        cardinality, base_width = words[1].removesuffix("d").split("x")
        axes |= {"block": "resnext", "depth": 29, "width": 64}
        axes |= {"cardinality": int(cardinality), "base_width": int(base_width)}
    elif kind == "WRN":
        axes |= {"block": "wide", "depth": int(size[0]), "width": 16 * int(size[1])}
    elif kind == "ResNet":
        depth = int(size[0])
        axes |= {"block": "bottleneck" if depth >= 50 else "basic", "blocks": STAGES[depth], "width": 64}
    elif kind == "preact":
        axes |= {"block": "preact_bottleneck" if bottleneck else "preact_basic", "depth": int(size[0]), "width": 16}
    elif kind == "plain":
        axes |= {"block": "plain", "depth": int(size[0]), "width": 16}
    else:
        axes |= {"block": "bottleneck" if bottleneck else "basic", "depth": int(size[0]), "width": 16}
    return Architecture.from_axes(**axes)


@pytest.fixture(scope="session")
def cifar10() -> dict[str, tuple[Architecture, dict[str, int]]]:
    """Every row of cifar10.json: its architecture and its counts."""
    rows = json.loads((GOLDEN / "cifar10.json").read_text())
    return {key: (architecture_of(key), counts) for key, counts in rows.items()}


@pytest.fixture(scope="session")
def measured() -> Callable[[Any], Complexity]:
    """The counts of a Keras model, from the shapes of its weights and outputs alone."""
    import keras

    def measure(model: Any) -> Complexity:
        macs = activations = 0
        for layer in model.layers:
            if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
                outputs = prod(layer.output.shape[1:])
                activations += outputs
                macs += outputs * prod(layer.kernel.shape[:-1])
        trainable = sum(prod(weight.shape) for weight in model.trainable_weights)
        nontrainable = sum(prod(weight.shape) for weight in model.non_trainable_weights)
        return Complexity(trainable, nontrainable, macs, activations)

    return measure


@pytest.fixture(scope="session")
def pictures() -> tuple[Any, Any]:
    """512 images of CIFAR-10 with their labels, where the machine has them; elsewhere of the embedded `shapes`."""
    import numpy as np

    packed = GOLDEN.parents[2] / "shared" / "data" / "cifar10_jpeg.npz"
    if not packed.is_file():
        from resnet_search.training.datasets.shapes import draw

        return draw(512, 0)
    from PIL import Image

    with np.load(packed) as pack:
        header, body = pack["header"].tobytes(), pack["body"].tobytes()
        ends, labels = np.cumsum(pack["lengths"][:512].astype(np.int64)), pack["labels"][:512]
    starts = np.concatenate([[0], ends[:-1]])
    files = [header + body[start:end] for start, end in zip(starts, ends, strict=True)]
    return np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]), labels
