from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from resnet_search.errors import UsageError  # noqa: E402
from resnet_search.networks.model import build_model  # noqa: E402
from resnet_search.networks.presets import preset  # noqa: E402
from resnet_search.networks.pretrained import (  # noqa: E402
    CAFFE,
    SOURCES,
    SYMMETRIC,
    build_pretrained,
    freeze,
    transfer,
)

SHAPE = (64, 64, 3)


def disturb(model):
    """Give every batch norm statistics and scales of its own, so that none may be left out or swapped."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            low = (0.5, -0.1, -0.1, 0.5)
            layer.set_weights([rng.uniform(bottom, bottom + 1, size).astype("float32") for bottom in low])


@pytest.mark.parametrize(
    "name",
    [
        "resnet-50-v2",
        *(pytest.param(name, marks=pytest.mark.slow) for name in SOURCES if name != "resnet-50-v2"),
    ],
)
def test_same_weights_same_logits_as_keras_applications(name):
    keras.utils.set_random_seed(1)
    source = getattr(keras.applications, SOURCES[name])(
        weights=None, input_shape=SHAPE, classes=10, classifier_activation=None
    )
    disturb(source)
    mean, std = SYMMETRIC if name.endswith("v2") else CAFFE
    model = build_model(preset(name).architecture, input_shape=SHAPE, mean=mean, std=std)
    transfer(source, model)
    images = np.random.default_rng(2).integers(0, 256, (2, *SHAPE)).astype("uint8")
    package = keras.applications.resnet_v2 if name.endswith("v2") else keras.applications.resnet
    expected = np.asarray(source(package.preprocess_input(images.astype("float32"))))
    got = np.asarray(model(images))
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.abs(expected).max() > 0.1


def test_a_new_head_and_frozen_stages():
    model = build_pretrained("resnet-50-v2", input_shape=SHAPE, classes=7, weights=None, frozen_stages=2, seed=1)
    assert model.output_shape == (None, 7)
    frozen = {
        weight.path.partition("_")[0] for layer in model.layers if not layer.trainable for weight in layer.weights
    }
    assert frozen == {"stem", "stage1", "stage2"}
    assert {weight.path.partition("_")[0] for weight in model.trainable_weights} == {
        "stage3",
        "stage4",
        "final",
        "logits/kernel",
        "logits/bias",
    }


def test_freeze_none():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="stem_x")])
    freeze(model, 0)
    assert model.layers[0].trainable


def test_only_these_presets_and_stages():
    with pytest.raises(UsageError, match="keras-resnet-50"):
        build_pretrained("resnet-20")
    with pytest.raises(UsageError, match="0 to 4"):
        build_pretrained("resnet-50-v2", frozen_stages=5)
