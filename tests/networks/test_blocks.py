from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from resnet_search.networks.anatomy import Unit, anatomy  # noqa: E402
from resnet_search.networks.architecture import Architecture  # noqa: E402
from resnet_search.networks.blocks import BN_EPSILON, Maker, layer_seed  # noqa: E402


def block_model(a, channels, drop=0.0, **kwargs):
    """The second stage's first block alone."""
    images = keras.Input((8, 8, channels))
    maker = Maker(a.activation, a.dropout, a.gate_bias, a.zero_gamma, **kwargs)
    block = anatomy(a).stages[1].first
    return keras.Model(images, maker.block(images, block, "b", drop))


def test_layer_seed_depends_on_the_name_alone():
    assert layer_seed(None, "a") is None
    assert layer_seed(1, "a") == layer_seed(1, "a")
    assert len({layer_seed(1, "a"), layer_seed(1, "b"), layer_seed(2, "a")}) == 3
    assert 0 <= layer_seed(3, "x") < 2**31


def test_layers_have_readable_names():
    model = block_model(Architecture(block="basic", blocks=(1, 1), width=8), 8)
    assert sorted(layer.name for layer in model.layers[1:]) == [
        "b_add",
        "b_conv1",
        "b_conv1_norm",
        "b_conv1_pad",
        "b_conv1_relu",
        "b_conv2",
        "b_conv2_norm",
        "b_relu",
        "b_shortcut",
        "b_shortcut_norm",
    ]


def test_a_strided_convolution_pads_both_sides():
    images = keras.Input((6, 6, 1))
    model = keras.Model(images, Maker().conv(images, Unit("c", 3, 1, 1, stride=2), "conv"))
    model.get_layer("conv").set_weights([np.ones((3, 3, 1, 1), "float32")])
    x = np.arange(36, dtype="float32").reshape(1, 6, 6, 1)
    padded = np.pad(x[0, :, :, 0], 1)
    expected = [[padded[i : i + 3, j : j + 3].sum() for j in (0, 2, 4)] for i in (0, 2, 4)]
    np.testing.assert_allclose(np.asarray(model(x))[0, :, :, 0], expected)


def test_zero_gamma_starts_as_the_shortcut():
    a = Architecture(block="basic", blocks=(1, 1), width=4, shortcut="identity", zero_gamma=True)
    x = np.abs(np.random.default_rng(0).normal(size=(2, 8, 8, 4))).astype("float32")
    got = np.asarray(block_model(a, 4)(x))
    np.testing.assert_allclose(got[..., :4], x[:, ::2, ::2], rtol=1e-6)


def test_stochastic_depth_drops_whole_images_and_keeps_the_mean():
    a = Architecture(block="preact_basic", blocks=(1, 1), width=4, shortcut="identity")
    model = block_model(a, 4, drop=0.5, seed=1)
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 4)).astype("float32")
    carried = np.pad(x[:, ::2, ::2], [(0, 0)] * 3 + [(0, 4)])
    branches = np.asarray(model(x, training=True)) - carried
    dropped = np.abs(branches).max(axis=(1, 2, 3)) < 1e-6
    assert 10 < dropped.sum() < 54
    assert not (np.abs(np.asarray(model(x)) - carried).max(axis=(1, 2, 3)) < 1e-6).any()


def test_stochastic_depth_scales_what_it_keeps():
    """The expectation in training is what inference computes, without a scale there."""
    a = Architecture(block="preact_basic", blocks=(1, 1), width=4, shortcut="identity")
    model, bare = block_model(a, 4, drop=0.25, seed=1), block_model(a, 4, seed=1)
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 4)).astype("float32")
    carried = np.pad(x[:, ::2, ::2], [(0, 0)] * 3 + [(0, 4)])
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(bare(x)))
    whole, dropped = (np.asarray(each(x, training=True)) - carried for each in (bare, model))
    kept = np.abs(dropped).max(axis=(1, 2, 3)) > 1e-6
    assert 32 < kept.sum() < 64
    np.testing.assert_allclose(dropped[kept], whole[kept] / 0.75, rtol=1e-4, atol=1e-5)


def test_dropout_stands_between_the_convolutions_of_a_wide_block():
    model = block_model(Architecture(block="wide", blocks=(1, 1), width=16, dropout=0.3), 16)
    path = [layer.name for layer in model.layers if layer.name.startswith(("b_conv", "b_dropout"))]
    assert path.index("b_conv1") < path.index("b_conv2_dropout") < path.index("b_conv2")
    assert model.get_layer("b_conv2_dropout").rate == 0.3


def test_start_and_norm_are_the_papers():
    """He et al. 2015, section 3.4: their own start, no Glorot; batch norm as in torch, not as in Keras."""
    model = block_model(Architecture(block="bottleneck", blocks=(1, 1), width=64, attention="se"), 256, seed=1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
        elif layer.weights:
            kernel = np.asarray(layer.kernel)
            fan_in = np.prod(kernel.shape[:-1])
            np.testing.assert_allclose(kernel.std(), np.sqrt(2 / fan_in), rtol=0.05)
            assert not layer.use_bias


def test_squeeze_and_excitation_scales_the_branch_before_the_addition():
    """Hu et al. 2018, fig. 3: with gates of one half, the branch is halved and the shortcut is not."""
    axes = {"block": "preact_basic", "blocks": (1, 1), "width": 16, "shortcut": "identity"}
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("float32")
    carried = np.pad(x[:, ::2, ::2], [(0, 0)] * 3 + [(0, 16)])
    gated = block_model(Architecture(**axes, attention="se"), 16, seed=1)
    gated.get_layer("b_excite").set_weights([np.zeros((2, 32), "float32")])
    bare = block_model(Architecture(**axes), 16, seed=1)
    np.testing.assert_allclose(np.asarray(gated(x)) - carried, (np.asarray(bare(x)) - carried) / 2, atol=1e-5)


def test_highway_gate_starts_by_carrying():
    a = Architecture(block="highway", blocks=(1, 1), width=4, shortcut="identity", gate_bias=-30.0)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32")
    got = np.asarray(block_model(a, 4)(x))
    np.testing.assert_allclose(got[..., :4], x[:, ::2, ::2], atol=1e-5)


def test_average_pooled_shortcut_leaves_padding_out():
    a = Architecture(block="basic", blocks=(1, 1), width=4, shortcut="avgpool", zero_gamma=True)
    images = keras.Input((5, 5, 4))
    model = keras.Model(images, Maker(zero_gamma=True).block(images, anatomy(a).stages[1].first, "b"))
    model.get_layer("b_shortcut").set_weights([np.eye(4, 8, dtype="float32").reshape(1, 1, 4, 8)])
    got = np.asarray(model(np.ones((1, 5, 5, 4), "float32")))
    np.testing.assert_allclose(got[..., :4], 1 / np.sqrt(1 + 1e-5), rtol=1e-6)


def test_weight_decay_is_the_papers():
    model = block_model(Architecture(block="highway", blocks=(1, 1), width=4), 4, weight_decay=1e-2)
    kernels = [weight for weight in model.trainable_weights if weight.name == "kernel"]
    expected = sum(0.5e-2 * np.sum(np.square(np.asarray(kernel))) for kernel in kernels)
    np.testing.assert_allclose(float(sum(model.losses)), expected, rtol=1e-5)
    assert len(model.losses) == len(kernels) == 4


def normed(x, layer, channels=slice(None)):
    gamma, beta, mean, variance = (weight[channels] for weight in layer.get_weights())
    return (x - mean) / np.sqrt(variance + BN_EPSILON) * gamma + beta


def convolved(x, kernel):
    return np.asarray(keras.ops.conv(x, kernel, 1, "same"))


def test_the_three_forms_of_resnext_agree():
    """Xie et al. 2017, fig. 3: (a) the sum of the paths, (b) their concatenation, (c) a grouped convolution."""
    groups, width = 4, 8
    images = keras.Input((6, 6, 4 * width))
    a = Architecture(block="resnext", blocks=(2,), width=width, cardinality=groups)
    block = keras.Model(images, Maker(seed=1).block(images, anatomy(a).stages[0].middle, "b"))
    rng = np.random.default_rng(0)
    for layer in block.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, layer.gamma.shape).astype("float32") for _ in range(4)])
    x = rng.normal(size=(2, 6, 6, 4 * width)).astype("float32")
    kernels = [block.get_layer(f"b_conv{i}").get_weights()[0] for i in (1, 2, 3)]
    norms = [block.get_layer(f"b_conv{i}_norm") for i in (1, 2, 3)]
    path = 2 * width // groups
    ends, sums = [], 0
    for group in range(groups):
        own = slice(group * path, (group + 1) * path)
        inside = np.maximum(normed(convolved(x, kernels[0][..., own]), norms[0], own), 0)
        inside = np.maximum(normed(convolved(inside, kernels[1][..., own]), norms[1], own), 0)
        ends.append(inside)
        sums = sums + convolved(inside, kernels[2][:, :, own])
    form_a = np.maximum(x + normed(sums, norms[2]), 0)
    form_b = np.maximum(x + normed(convolved(np.concatenate(ends, -1), kernels[2]), norms[2]), 0)
    form_c = np.asarray(block(x))
    np.testing.assert_allclose(form_a, form_c, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(form_b, form_c, atol=1e-5, rtol=1e-5)
