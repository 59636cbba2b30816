"""The .keras file: layers of Keras alone, whatever block the network is of."""

from __future__ import annotations

import inspect
import json
import sys
import zipfile
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest

from resnet_search.export import plain
from resnet_search.export.plain import plain_model
from resnet_search.networks.architecture import BLOCKS, Architecture, applies
from resnet_search.networks.model import build_model

CASES = [
    *(
        {"block": block, "cardinality": 4} if applies("cardinality", block=block) else {"block": block}
        for block in BLOCKS
    ),
    {"block": "basic", "shortcut": "identity", "activation": "gelu", "attention": "se", "stochastic_depth": 0.2},
    {"block": "wide", "dropout": 0.3, "stem": "imagenet"},
]


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def probabilities(network: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.softmax(network(images, training=False)))


@pytest.mark.parametrize("axes", CASES, ids=lambda axes: "-".join(map(str, axes.values())))
def test_keras_alone_loads_the_same_network(axes: dict, images: np.ndarray, tmp_path: Path) -> None:
    network = build_model(Architecture(**{"blocks": (1, 1), "width": 8, **axes}), seed=1)
    random = np.random.default_rng(1)
    for weight in network.weights:  # Statistics of 0 and 1 would hide a batch norm without its own.
        weight.assign(np.abs(random.normal(1, 0.2, weight.shape)) if weight.path.endswith("variance") else weight)
    path = tmp_path / "model.keras"
    plain_model([network]).save(path)
    config = zipfile.ZipFile(path).read("config.json").decode()
    assert "resnet_search" not in config
    assert all(layer["registered_name"] in {None, "Functional"} for layer in json.loads(config)["config"]["layers"])
    loaded = keras.saving.load_model(path)
    assert [tensor.name for tensor in loaded.inputs] == ["images"]
    assert loaded.output_names == ["probabilities"]
    assert loaded.inputs[0].dtype == "uint8"
    assert np.abs(np.asarray(loaded(images)) - probabilities(network, images)).max() < 1e-5


def test_an_ensemble_averages(images: np.ndarray, tmp_path: Path) -> None:
    networks = [
        build_model(Architecture(blocks=(1, 1), width=width, block="basic"), seed=width, mean=(100.0, 110.0, 120.0))
        for width in (4, 8)
    ]
    path = tmp_path / "model.keras"
    plain_model(networks).save(path)
    loaded = keras.saving.load_model(path)
    expected = np.mean([probabilities(network, images) for network in networks], axis=0)
    assert np.abs(np.asarray(loaded(images)) - expected).max() < 1e-5
    assert loaded.output_names == ["probabilities"]


def test_a_deep_network_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras walks through it by recursion; without shortcuts, a frame for each layer."""
    network = build_model(Architecture(blocks=(20,), width=2, block="plain"), seed=1, input_shape=(8, 8, 3))
    assert len(network.layers) > 120
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 110)
    try:
        copy = plain_model([network])
        monkeypatch.setattr(plain, "recursion", nullcontext)
        with pytest.raises(RecursionError):
            plain_model([network])
    finally:
        sys.setrecursionlimit(limit)
    assert copy.count_params() == network.count_params()
