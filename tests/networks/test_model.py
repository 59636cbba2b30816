from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from resnet_search.networks.architecture import BLOCKS, Architecture, applies  # noqa: E402
from resnet_search.networks.model import build_model  # noqa: E402
from resnet_search.networks.presets import preset  # noqa: E402

SMALL = Architecture.from_axes(block="basic", n=1, width=4)
RICH = Architecture.from_axes(block="resnext", n=1, width=4, cardinality=2, shortcut="identity", attention="se")


def test_takes_raw_images_of_any_dtype():
    model = build_model(SMALL, seed=1)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3))
    outputs = [np.asarray(model(images.astype(dtype))) for dtype in ("uint8", "int32", "float32")]
    assert outputs[0].shape == (2, 10)
    assert outputs[0].dtype == np.float32
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)
    np.testing.assert_allclose(outputs[0], outputs[2], atol=1e-6)


def test_logits_are_float32_in_mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build_model(RICH, seed=1)
    finally:
        keras.config.set_dtype_policy(policy)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    assert keras.backend.standardize_dtype(model(images).dtype) == "float32"
    assert model.get_layer("stage1_block1_conv1").compute_dtype == "float16"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}


def test_standardisation_is_the_first_layer_and_has_no_weights():
    model = build_model(SMALL, mean=(1, 2, 3), std=(4, 5, 6))
    first = model.layers[1]
    assert first.name == "standardize"
    assert first.weights == []
    assert (first.mean, first.std) == ([1, 2, 3], [4, 5, 6])


def test_the_model_is_flat():
    assert not [layer for layer in build_model(SMALL).layers if isinstance(layer, keras.Model)]


def digest(seed):
    model = build_model(Architecture(block="resnext", blocks=(1,), width=4, cardinality=2), seed=seed)
    return hashlib.sha256(b"".join(np.asarray(weight).tobytes() for weight in model.weights)).hexdigest()


def test_a_seed_gives_the_same_weights_whatever_came_before():
    before = digest(5)
    keras.utils.set_random_seed(99)
    build_model(SMALL)
    assert digest(5) == before
    assert digest(6) != before


@pytest.mark.slow
def test_a_seed_gives_the_same_weights_in_another_process():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_model; print(test_model.digest(5))"
    here = __file__.rpartition("/")[0]
    done = subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(5)


def test_no_two_layers_start_alike():
    model = build_model(Architecture(block="basic", blocks=(2,), width=4), seed=1)
    first, second = (np.asarray(model.get_layer(f"stage1_block{i}_conv1").kernel) for i in (1, 2))
    assert not np.allclose(first, second)


def test_saves_and_loads(tmp_path):
    model = build_model(RICH, seed=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    np.testing.assert_allclose(np.asarray(again(images)), np.asarray(model(images)), atol=1e-6)


def test_stochastic_depth_grows_linearly():
    """Huang et al. 2016, eq. 4: block l of L is dropped at l/L of the last one's rate."""
    model = build_model(Architecture(block="basic", blocks=(1, 2, 1), width=4, stochastic_depth=0.4))
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.4])


def test_what_is_random_in_training_is_not_in_inference():
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    for axes in ({"stochastic_depth": 0.5}, {"dropout": 0.5}):
        a = Architecture(block="wide", blocks=(2,), width=4, **axes)
        model, bare = build_model(a, seed=1), build_model(replace(a, stochastic_depth=0.0, dropout=0.0), seed=1)
        first, second = (np.asarray(model(images)) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_allclose(first, np.asarray(bare(images)), rtol=1e-6, atol=1e-6)
        assert not np.allclose(np.asarray(model(images, training=True)), np.asarray(model(images, training=True)))


def test_the_imagenet_stem_leaves_a_quarter_of_each_side():
    """56x56 of 224x224, and not the 55x55 of a max-pool without padding."""
    for stem in ("imagenet", "deep"):
        model = build_model(Architecture(block="basic", blocks=(1,), width=8, stem=stem), input_shape=(224, 224, 3))
        assert model.get_layer("stem_pool").output.shape == (None, 56, 56, 8)


def test_the_published_counts_without_a_head():
    """What lists of "11.2, 21.3, 23.5, 42.5, 58.1 million" count."""
    headless = {}
    for depth in (18, 34, 50, 101, 152):
        each = preset(f"resnet-{depth}")
        head = (each.architecture.outputs(3) + 1) * each.classes
        headless[depth] = round((each.complexity.trainable - head) / 1e6, 2)
    assert headless == {18: 11.18, 34: 21.28, 50: 23.51, 101: 42.50, 152: 58.14}


@pytest.mark.slow
def test_a_thousand_layers_are_built():
    limit = sys.getrecursionlimit()
    model = build_model(preset("preact-resnet-1001").architecture, input_shape=(8, 8, 3), seed=0)
    assert len(model.layers) > 3 * limit
    assert sys.getrecursionlimit() == limit
    # As in training: without the statistics of a batch, 333 untrained blocks come close to float32's largest number.
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    assert np.isfinite(np.asarray(model(images, training=True))).all()


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_learns_and_exports(block, pictures, tmp_path):
    """512 images of CIFAR-10, 30 steps: the loss over a round of them falls; the SavedModel has the same outputs."""
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    images, labels = pictures
    axes = {"cardinality": 4} if applies("cardinality", block=block) else {}
    model = build_model(Architecture.from_axes(block=block, n=1, width=8, **axes), seed=1, weight_decay=1e-4)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = []
    for step in range(30):
        part = slice(step % 4 * 128, step % 4 * 128 + 128)
        model.reset_metrics()
        losses.append(float(model.train_on_batch(images[part], labels[part])))
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    model.export(str(tmp_path / "saved"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    served = loaded.serve(tf.constant(images[:4], tf.float32))
    np.testing.assert_allclose(served.numpy(), np.asarray(model(images[:4])), atol=1e-5)


def test_the_savedmodel_of_a_resnext_holds_standard_operations(tmp_path):
    """Keras's own grouped convolution is an XLA cluster there, which other runtimes cannot read."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    build_model(replace(RICH, blocks=(1,)), seed=1).export(str(tmp_path / "saved"), verbose=False)
    content = (tmp_path / "saved" / "saved_model.pb").read_bytes()
    assert b"_XlaMustCompile" not in content
    graph = SavedModel.FromString(content).meta_graphs[0].graph_def
    operations = {node.op for function in graph.library.function for node in function.node_def}
    assert {"Conv2D", "MatMul", "Relu"} <= operations
    assert not [name for name in operations if name.startswith("Xla") or "PyFunc" in name]
