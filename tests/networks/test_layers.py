from __future__ import annotations

import itertools

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from resnet_search.networks.anatomy import anatomy  # noqa: E402
from resnet_search.networks.layers import (  # noqa: E402
    GroupedConv2D,
    HighwayMerge,
    PaddedIdentity,
    Standardize,
    gelu,
    native_trains,
)
from resnet_search.networks.presets import PRESETS  # noqa: E402

RNG = np.random.default_rng(0)


def value_and_gradients(layer, x):
    import tensorflow as tf

    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        loss = tf.reduce_mean(tf.sin(outputs))
    return [np.asarray(outputs), *(np.asarray(g) for g in tape.gradient(loss, [inputs, layer.kernel]))]


def shapes_of_the_presets():
    """Groups, inputs, outputs and stride of every grouped convolution of a preset."""
    found = set()
    for each in PRESETS.values():
        for stage in anatomy(each.architecture).stages:
            for block in (stage.first, stage.middle):
                found |= {(u.groups, u.inputs, u.outputs, u.stride) for u in block.branch if u.groups > 1}
    return sorted(found)


@pytest.mark.parametrize(
    ("groups", "inputs", "outputs", "stride"),
    [
        *((2, 8, 8, 1), (4, 8, 16, 2), (8, 8, 8, 2), (3, 6, 9, 1), (1, 4, 4, 1)),
        *(pytest.param(*shape, marks=pytest.mark.slow) for shape in shapes_of_the_presets()),
    ],
)
def test_grouped_convolution_is_keras_own(groups, inputs, outputs, stride):
    x = RNG.normal(size=(2, 5, 4, inputs)).astype("float32")
    options = {"strides": stride, "padding": "same" if stride == 1 else "valid", "use_bias": True}
    native = keras.layers.Conv2D(outputs, 3, groups=groups, **options)
    expected = value_and_gradients(native, x)
    for form in ("auto", "native", "split"):
        if form == "native" and not native_trains():
            continue
        layer = GroupedConv2D(outputs, 3, groups=groups, form=form, **options)
        layer.build(x.shape)
        assert layer.kernel.shape == native.kernel.shape == (3, 3, inputs // groups, outputs)
        layer.set_weights(native.get_weights())
        for got, want in zip(value_and_gradients(layer, x), expected, strict=True):
            assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()


def test_grouped_convolution_uses_no_xla():
    import tensorflow as tf

    for form in ("auto", "split"):
        layer = GroupedConv2D(8, 3, groups=4, padding="same", form=form)
        layer.build((None, 8, 8, 8))
        traced = tf.function(layer.call).get_concrete_function(tf.TensorSpec((None, 8, 8, 8)))
        definition = traced.graph.as_graph_def(add_shapes=False)
        assert "_XlaMustCompile" not in str(definition)
        assert any(node.op == "Conv2D" for node in definition.node)


def test_grouped_convolution_rejects_an_unknown_form():
    with pytest.raises(ValueError, match="auto, native, split"):
        GroupedConv2D(8, 3, groups=2, form="raw")


def test_standardize_takes_any_dtype():
    layer = Standardize([1, 2, 3], [2, 4, 8])
    images = RNG.integers(0, 256, (2, 4, 4, 3))
    expected = ((images - np.array([1, 2, 3])) / np.array([2, 4, 8])).astype("float32")
    for dtype in ("uint8", "int64", "float32", "float64"):
        got = layer(images.astype(dtype))
        assert keras.backend.standardize_dtype(got.dtype) == "float32"
        np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-6)
    assert layer.weights == []


def test_standardize_keeps_fractions_in_half_precision():
    layer = Standardize([128] * 3, [64] * 3, dtype="mixed_float16")
    image = np.full((1, 1, 1, 3), 128.03, "float32")
    got = layer(image)
    assert keras.backend.standardize_dtype(got.dtype) == "float16"
    np.testing.assert_allclose(np.asarray(got, "float32"), 0.03 / 64, rtol=1e-2)


@pytest.mark.parametrize(("height", "stride", "channels"), [(4, 2, 6), (5, 2, 3), (4, 1, 5)])
def test_padded_identity(height, stride, channels):
    x = RNG.normal(size=(2, height, 4, 3)).astype("float32")
    got = np.asarray(PaddedIdentity(channels, stride)(x))
    np.testing.assert_array_equal(got[..., :3], x[:, ::stride, ::stride])
    assert got.shape == (2, -(-height // stride), 4 // stride, channels)
    assert not got[..., 3:].any()


def test_highway_merge():
    h, x = (RNG.normal(size=(1, 2, 2, 3)).astype("float32") for _ in range(2))
    t = np.float32(0.25) * np.ones_like(h)
    np.testing.assert_allclose(np.asarray(HighwayMerge()([h, t, x])), 0.25 * h + 0.75 * x, rtol=1e-6)


def test_gelu_is_keras_own():
    x = np.linspace(-6, 6, 241).astype("float32")
    np.testing.assert_allclose(np.asarray(gelu(x)), np.asarray(keras.activations.gelu(x, approximate=False)), atol=2e-6)


def test_layers_survive_serialization():
    made = [
        Standardize([1], [2]),
        GroupedConv2D(8, 3, groups=2, strides=2, form="split"),
        PaddedIdentity(8, 2),
        HighwayMerge(),
    ]
    for layer in made:
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert type(again) is type(layer)
        assert again.get_config() == layer.get_config()


def test_forms_agree_for_many_shapes():
    for groups, width in itertools.product((2, 4, 8), (16, 24)):
        x = RNG.normal(size=(2, 5, 5, width)).astype("float32")
        split = GroupedConv2D(width, 3, groups=groups, padding="same", form="split")
        auto = GroupedConv2D(width, 3, groups=groups, padding="same")
        split(x), auto(x)
        auto.set_weights(split.get_weights())
        np.testing.assert_allclose(np.asarray(auto(x)), np.asarray(split(x)), rtol=1e-4, atol=1e-5)
