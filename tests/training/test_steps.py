"""Batches as Keras takes them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from resnet_search.training import steps
from resnet_search.training.steps import batches, steps_per_execution, validation_batch

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's pipeline")


def test_batches_are_in_order_and_the_last_is_what_is_left():
    inputs, labels = (np.arange(7), np.arange(14).reshape(7, 2)), np.arange(7) * 10
    seen = list(batches(inputs, labels, size=3)["x"].as_numpy_iterator())
    assert [len(label) for _, label in seen] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([label for _, label in seen]), labels)
    for number, values in enumerate(inputs):
        np.testing.assert_array_equal(np.concatenate([shown[number] for shown, _ in seen]), values)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_images_are_read_batch_by_batch(monkeypatch, backend):
    images = np.arange(5 * 12, dtype=np.uint8).reshape(5, 2, 2, 3)
    index, labels = np.array([4, 0, 3, 1, 2], np.int32), np.arange(5)
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    given = batches((index, index * 10), labels, size=2, images=images)
    found = given["x"]
    if backend == "tensorflow":
        (first, _), _ = found.element_spec
        assert first == tf.TensorSpec((None, 2, 2, 3), tf.uint8)
        found = found.as_numpy_iterator()
    else:
        found = [found[number] for number in range(len(found))]
    seen = list(found)
    assert [len(shown) for _, shown in seen] == [2, 2, 1]
    for number, values in enumerate((images[index], index * 10)):
        np.testing.assert_array_equal(np.concatenate([shown[number] for shown, _ in seen]), values)
    np.testing.assert_array_equal(np.concatenate([shown for _, shown in seen]), labels)


def test_images_keep_their_type_and_one_shape_serves_all_batches():
    images = np.zeros((5, 4, 4, 3), np.uint8)
    given = batches(images, size=2)
    assert set(given) == {"x"}
    assert given["x"].element_spec == tf.TensorSpec((None, 4, 4, 3), tf.uint8), "or a step is traced twice"


def test_no_pipeline_tunes_itself():
    """An epoch would end when the tuner wakes, after 10 s or 20."""
    assert batches(np.zeros(4), np.zeros(4), size=2)["x"].options().autotune.enabled is False


def test_other_backends_take_arrays(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    inputs, labels = np.zeros(4), np.ones(4)
    assert batches(inputs, labels, size=2) == {"x": inputs, "batch_size": 2, "y": labels}
    assert batches(inputs, size=2) == {"x": inputs, "batch_size": 2}


@pytest.mark.parametrize(
    ("side", "part", "parts", "images", "expected"),
    [
        (32, 128, 1, 5000, 500),
        (12, 16, 1, 499, 499),
        (32, 16, 8, 1009, 62),
        (224, 4, 1, 50, 10),
        (224, 32, 1, 33, 32),
        (1000, 1, 8, 7, 1),
        (32, 128, 1, 994, 497),  # None smaller than the others,
        (32, 128, 1, 1200, 400),
        (32, 128, 1, 1009, 500),  # unless they would be small themselves.
    ],
)
def test_validation_takes_fewer_of_larger_images(side, part, parts, images, expected):
    assert validation_batch((images, side, side, 3), part=part, parts=parts) == expected


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_many_steps_at_once_are_of_a_gpu(monkeypatch, backend):
    found = []
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: found)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(default_backend=lambda: "gpu" if found else "cpu"))
    assert steps_per_execution() == 1
    found.append("a GPU")
    assert steps_per_execution() == steps._STEPS_ON_A_GPU > 1


@pytest.mark.parametrize(("images", "rows"), [(4, 6), (6, 6), (7, 12)])
def test_steps_of_one_call_on_jax_are_one_batch_to_keras_and_the_last_is_filled_up(monkeypatch, images, rows):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    inputs, labels = (np.arange(images), np.ones((images, 2), np.int32)), np.arange(images)
    given = batches(inputs, labels, size=2, together=3)
    assert given["batch_size"] == 6
    assert [values.shape for values in given["x"]] == [(rows,), (rows, 2)]
    assert given["y"].tolist() == [*range(images), *[-1] * (rows - images)]
