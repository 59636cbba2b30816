from __future__ import annotations

import itertools

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from resnet_search.networks.anatomy import anatomy  # noqa: E402
from resnet_search.networks.layers import (  # noqa: E402
    BatchNormalization,
    GroupedConv2D,
    HighwayMerge,
    PaddedIdentity,
    Standardize,
    gelu,
    native_trains,
)
from resnet_search.networks.presets import PRESETS  # noqa: E402

pytestmark = pytest.mark.interface

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


def normalised(layer, x, training=True):
    """Outputs and gradients of a batch norm, with its weights after the step."""
    import tensorflow as tf

    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=training)
        loss = tf.reduce_sum(tf.sin(tf.cast(outputs, "float32")))
    gradients = tape.gradient(loss, [inputs, *layer.trainable_weights])
    return [np.asarray(value, "float32") for value in (outputs, *gradients, *layer.weights)]


def both_norms(shape, **options):
    """Keras's batch norm and this project's with the same, uneven weights."""
    options = {"momentum": 0.9, "epsilon": 1e-5, **options}
    made = keras.layers.BatchNormalization(**options), BatchNormalization(**options)
    for layer in made:
        layer.build(shape)
    made[0].set_weights([RNG.uniform(0.5, 1.5, weight.shape) for weight in made[0].weights])
    made[1].set_weights(made[0].get_weights())
    return made


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((16, 9, 7, 5), {}),
        ((1, 4, 4, 3), {}),  # one image
        ((8, 6), {}),
        ((4, 3, 5, 5), {"axis": 1}),
        ((4, 5, 5, 3), {"scale": False}),
        ((4, 5, 5, 3), {"center": False}),
        ((4, 5, 5, 3), {"trainable": False}),
    ],
)
def test_batch_norm_is_keras_own(shape, options, training):
    x = RNG.normal(3, 2, shape).astype("float32")
    keras_own, own = both_norms(shape, **options)
    for got, want in zip(normalised(own, x, training), normalised(keras_own, x, training), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * max(1, np.abs(want).max()))


def test_batch_norm_of_a_single_value_gives_the_offset():
    """Its variance is zero; Keras subtracts two large numbers here, and is off by 1e-4."""
    layer = both_norms((1, 1, 1, 3))[1]
    outputs, *_, moving_mean, moving_variance = normalised(layer, np.full((1, 1, 1, 3), 3, "float32"))
    np.testing.assert_allclose(outputs[0, 0, 0], np.asarray(layer.beta), rtol=1e-6)
    assert np.isfinite([moving_mean, moving_variance]).all()


def test_batch_norm_in_half_precision_is_keras_own():
    x = RNG.normal(size=(32, 6, 6, 4)).astype("float32")
    keras_own, own = both_norms(x.shape, dtype="mixed_bfloat16")
    for got, want in zip(normalised(own, x), normalised(keras_own, x), strict=True):
        np.testing.assert_allclose(got, want, rtol=0.02, atol=0.02 * np.abs(want).max())
    assert own(x, training=True).dtype == "bfloat16"


def test_batch_norm_of_a_training_step_is_one_operation():
    import tensorflow as tf

    layer = BatchNormalization()
    layer.build((None, 8, 8, 4))
    images = tf.TensorSpec((None, 8, 8, 4))
    for training in (True, False):
        call = tf.function(lambda x, training=training: layer(x, training=training))
        operations = [node.type for node in call.get_concrete_function(images).graph.get_operations()]
        assert operations.count("FusedBatchNormV3") == training


def test_batch_norm_keeps_the_names_of_keras_in_files(tmp_path):
    """So that weights of earlier runs go on loading, and plain Keras can read these."""
    x = RNG.normal(size=(4, 3, 3, 2)).astype("float32")
    keras_own, own = (keras.Sequential([keras.Input((3, 3, 2)), layer]) for layer in both_norms(x.shape))
    own.layers[0].set_weights([RNG.uniform(0.5, 1.5, weight.shape) for weight in own.weights])
    own.save_weights(tmp_path / "own.weights.h5")
    keras_own.load_weights(tmp_path / "own.weights.h5")
    np.testing.assert_array_equal(np.asarray(keras_own(x)), np.asarray(own(x)))


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
        BatchNormalization(momentum=0.9, epsilon=1e-5),
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
