"""Weights of keras.applications in this project's graph: the same logits, whatever its conventions are."""

from __future__ import annotations

import importlib
from dataclasses import replace

import h5py
import numpy as np
import pytest

keras = pytest.importorskip("keras")

from resnet_search.errors import UsageError  # noqa: E402
from resnet_search.networks import imagenet  # noqa: E402
from resnet_search.networks.architecture import Architecture  # noqa: E402
from resnet_search.networks.imagenet import SOURCES  # noqa: E402
from resnet_search.networks.model import build_model  # noqa: E402
from resnet_search.networks.presets import preset  # noqa: E402
from resnet_search.networks.pretrained import freeze, load_imagenet, transfer  # noqa: E402

SHAPE = (64, 64, 3)
SIX = [pytest.param(name, marks=pytest.mark.slow) for name in SOURCES]


@pytest.fixture
def network(request, monkeypatch):
    """A network of keras.applications, and its architecture here.

    "small": resnet-50-v2 with two blocks in each of its stages, an eighth as wide.
    """
    name = getattr(request, "param", "small")
    if name != "small":
        return name, preset(name).architecture
    resnet = importlib.import_module("keras.src.applications.resnet")
    stack = resnet.stack_residual_blocks_v2

    def smaller(x, filters, blocks, **options):
        return stack(x, filters // 8, 2, **options)

    monkeypatch.setattr(resnet, "stack_residual_blocks_v2", smaller)
    name = "resnet-50-v2"
    architecture = replace(preset(name).architecture, blocks=(2, 2, 2, 2), width=8, stem_width=64)
    monkeypatch.setitem(imagenet._BY_ARCHITECTURE, architecture, SOURCES[name])
    return name, architecture


def random_source(name, **options):
    """A network of keras.applications with weights of its own everywhere, so that none may be left out or swapped.

    Some variances are as small as those of a trained network's dead channels, where an epsilon decides the output.
    """
    keras.utils.set_random_seed(1)
    source = getattr(keras.applications, SOURCES[name].function)(weights=None, input_shape=SHAPE, **options)
    rng = np.random.default_rng(0)
    for layer in source.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            gamma, beta, mean, variance = (rng.uniform(low, low + 1, size) for low in (0.5, -0.1, -0.1, 0.5))
            dead = rng.random(size) < 0.05
            gamma[dead] *= 1e-2
            variance[dead] = 1e-9
            layer.set_weights([values.astype("float32") for values in (gamma, beta, mean, variance)])
    return source


def ours(network, **options):
    name, architecture = network
    mean, std = SOURCES[name].normalisation
    return build_model(architecture, input_shape=SHAPE, mean=mean, std=std, **options)


def some_images():
    """Colours that differ from each other, so that blue first is not red first."""
    return np.random.default_rng(2).integers([0, 60, 150], [100, 200, 256], (2, *SHAPE)).astype("uint8")


def prepared(name, images):
    package = keras.applications.resnet_v2 if name.endswith("v2") else keras.applications.resnet
    return package.preprocess_input(images.astype("float32"))


def test_the_six_networks_that_have_weights():
    assert list(SOURCES) == [f"keras-resnet-{d}" for d in (50, 101, 152)] + [f"resnet-{d}-v2" for d in (50, 101, 152)]


@pytest.mark.parametrize("network", ["small", *SIX], indirect=True)
def test_same_weights_same_logits_as_keras_applications(network):
    name, _ = network
    source = random_source(name, classes=10, classifier_activation=None)
    model = ours(network)
    transfer(source, model)
    images = some_images()
    expected, got = np.asarray(source(prepared(name, images))), np.asarray(model(images))
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()
    # And it matters: a network that did not see the colours in this order, or the images at all, gives others.
    assert np.abs(np.asarray(model(images[..., ::-1])) - expected).max() > 1e-2 * np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 1e-2 * np.abs(expected).max()


def test_the_difference_of_the_epsilons_is_in_the_variance(network):
    """Where a variance is nothing, 1e-5 instead of 1.001e-5 is five parts in ten thousand of the output."""
    source, model = random_source("resnet-50-v2", include_top=False), ours(network)
    transfer(source, model)
    theirs, mine = source.get_layer("conv2_block1_preact_bn"), model.get_layer("stage1_block1_conv1_norm")
    assert theirs.epsilon != mine.epsilon
    x = np.random.default_rng(0).normal(size=(1, 2, 2, 64)).astype("float32") * 1e-3
    np.testing.assert_allclose(mine(x), theirs(x), rtol=1e-5, atol=1e-7)


def save_as_keras_does(source, path):
    """The older HDF5 form that the files on Keras's server have."""
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in source.layers]
        for layer in source.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [each.encode() for each in names]
            for each, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(each, data=value)


@pytest.mark.parametrize("network", ["small", SIX[3], SIX[0]], indirect=True)
def test_weights_from_keras_cache_with_a_new_head(network, tmp_path, monkeypatch):
    name, architecture = network
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    source = random_source(name, include_top=False, pooling="avg")
    save_as_keras_does(source, SOURCES[name].path)
    model = ours(network, classes=7, seed=3)
    head = model.get_layer("logits").get_weights()
    load_imagenet(model, architecture)
    images = some_images()
    features = keras.Model(model.input, model.get_layer("pool").output)
    expected = np.asarray(source(prepared(name, images)))
    assert np.abs(np.asarray(features(images)) - expected).max() <= 1e-4 * np.abs(expected).max()
    assert all(np.array_equal(a, b) for a, b in zip(model.get_layer("logits").get_weights(), head, strict=True))


def test_frozen_stages_are_the_stem_and_the_first_ones(network):
    model = ours(network, classes=7)
    freeze(model, 0)
    assert all(layer.trainable for layer in model.layers)
    freeze(model, 2)
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


def test_a_network_without_such_weights():
    resnet20 = Architecture.from_axes(block="basic", depth=20, width=16)
    with pytest.raises(UsageError, match=r"basic20-w16; allowed .*keras-resnet-50, .*resnet-152-v2"):
        load_imagenet(build_model(resnet20), resnet20)
