from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from resnet_search.networks.architecture import BLOCKS, Architecture, applies  # noqa: E402
from resnet_search.networks.model import build_model  # noqa: E402

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
    model = build_model(Architecture.from_axes(block="resnext", n=1, width=4, cardinality=2), seed=seed)
    return hashlib.sha256(b"".join(np.asarray(weight).tobytes() for weight in model.weights)).hexdigest()


def test_a_seed_gives_the_same_weights_whatever_came_before():
    before = digest(5)
    keras.utils.set_random_seed(99)
    build_model(SMALL)
    assert digest(5) == before
    assert digest(6) != before


def test_a_seed_gives_the_same_weights_in_another_process():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_model; print(test_model.digest(5))"
    here = __file__.rpartition("/")[0]
    done = subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(5)


def test_no_two_layers_start_alike():
    model = build_model(Architecture.from_axes(block="basic", n=2, width=4), seed=1)
    first, second = (np.asarray(model.get_layer(f"stage1_block{i}_conv1").kernel) for i in (1, 2))
    assert not np.allclose(first, second)


def test_saves_and_loads(tmp_path):
    model = build_model(RICH, seed=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    np.testing.assert_allclose(np.asarray(again(images)), np.asarray(model(images)), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_learns_and_exports(block, tmp_path):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 512)
    patterns = rng.normal(size=(10, 32, 32, 3)) * 40
    images = np.clip(128 + patterns[labels] + rng.normal(size=(512, 32, 32, 3)) * 40, 0, 255).astype("uint8")
    axes = {"cardinality": 4} if applies("cardinality", block=block) else {}
    model = build_model(Architecture.from_axes(block=block, n=1, width=8, **axes), seed=1, weight_decay=1e-4)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = [float(model.train_on_batch(images[i : i + 64], labels[i : i + 64])) for i in [0, 64, 128, 192] * 8][:30]
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    model.export(str(tmp_path / "saved"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    served = loaded.serve(tf.constant(images[:4], tf.float32))
    np.testing.assert_allclose(served.numpy(), np.asarray(model(images[:4])), atol=1e-5)
