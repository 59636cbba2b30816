from __future__ import annotations

import itertools
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from resnet_search.training import augmentation
from resnet_search.training.arrays import Arrays
from resnet_search.training.augmentation import StoredImages, on_device, plan_epoch, plan_inputs
from tests.faults.table import fault

HEIGHT, WIDTH = 5, 7
IMAGES = np.random.default_rng(0).integers(0, 256, size=(6, HEIGHT, WIDTH, 3), dtype=np.uint8)
FILL = (10.4, 20.6, 30.0)


def arrays_of(images: np.ndarray) -> Arrays:
    labels = np.zeros(len(images), np.int64)
    return Arrays(images, labels, images[:1], labels[:1], ("a",), (0.0,) * 3, (1.0,) * 3)


@pytest.fixture
def stored() -> StoredImages:
    return StoredImages(keras.Variable(IMAGES, dtype="uint8", trainable=False), FILL)


def by_padding(index: int, down: int, right: int, flip: int) -> np.ndarray:
    """The textbook way: mirror, pad with the fill, cut out."""
    image = IMAGES[index][:, ::-1] if flip else IMAGES[index]
    border = max(abs(down), abs(right), 1)
    padded = np.empty((HEIGHT + 2 * border, WIDTH + 2 * border, 3), np.uint8)
    padded[:] = np.rint(FILL).astype(np.uint8)
    padded[border : border + HEIGHT, border : border + WIDTH] = image
    return padded[border - down : border - down + HEIGHT, border - right : border - right + WIDTH]


def test_the_gather_is_padding_and_cropping(stored):
    """Every shift, until nothing of the image is left, with and without a flip, of one image or another.

    The last shift asks for pixels behind the end of the last image.
    """
    moves = itertools.product(range(HEIGHT + 1, -HEIGHT - 2, -1), range(WIDTH + 1, -WIDTH - 2, -1), (1, 0))
    wanted = [(number % len(IMAGES), *move) for number, move in enumerate(moves)]
    index, down, right, flip = (np.array(column, np.int32) for column in zip(*wanted, strict=True))
    moved = ops.convert_to_numpy(stored([index, np.stack([down, right], axis=1), flip]))
    assert moved.dtype == np.uint8
    np.testing.assert_array_equal(moved, np.stack([by_padding(*row) for row in wanted]))


def test_images_that_are_not_on_the_device_are_moved_alike(stored):
    plan = plan_epoch(0, 0, len(IMAGES), padding=2, flip=True)
    given = StoredImages(None, FILL)([IMAGES[plan.index], plan.shift, plan.flip])
    on_it = stored([plan.index, plan.shift, plan.flip])
    np.testing.assert_array_equal(ops.convert_to_numpy(given), ops.convert_to_numpy(on_it))


def test_stored_images_are_bytes_of_the_images_shape_and_no_weights(stored):
    inputs = [keras.KerasTensor(shape, dtype="int32") for shape in ((8,), (8, 2), (8,))]
    output = stored.compute_output_spec(inputs)
    assert (output.shape, output.dtype) == ((8, HEIGHT, WIDTH, 3), "uint8")
    assert not stored.trainable
    assert not stored.trainable_weights


def test_an_epoch_is_a_function_of_seed_and_epoch():
    plan = plan_epoch(5, 2, 100, padding=4, flip=True)
    again = plan_epoch(5, 2, 100, padding=4, flip=True)
    assert sorted(plan.index) == list(range(100)), "every image once"
    assert set(np.unique(plan.shift)) == set(range(-4, 5))
    assert set(np.unique(plan.flip)) == {0, 1}
    assert {array.dtype.name for array in (plan.index, plan.shift, plan.flip)} == {"int32"}
    assert plan.shift.shape == (100, 2)
    assert not np.array_equal(plan.shift[:, 0], plan.shift[:, 1])
    for name in ("index", "shift", "flip"):
        assert np.array_equal(getattr(plan, name), getattr(again, name))
        for seed, epoch in ((5, 3), (6, 2), (2, 5)):
            other = plan_epoch(seed, epoch, 100, padding=4, flip=True)
            assert not np.array_equal(getattr(plan, name), getattr(other, name)), (name, seed, epoch)


def test_a_resumed_run_sees_the_epochs_that_earlier_versions_drew():
    plan = plan_epoch(5, 2, 8, padding=4, flip=True)
    assert plan.index.tolist() == [0, 4, 5, 7, 3, 1, 2, 6]
    assert plan.shift.tolist() == [[-1, -4], [0, 0], [3, -3], [3, -4], [1, -2], [4, -4], [0, 0], [-3, 0]]
    assert plan.flip.tolist() == [1, 0, 1, 1, 0, 1, 1, 0]


@pytest.mark.parametrize(("padding", "flip"), [(0, False), (0, True), (2, False)])
def test_padding_and_flip_are_switched_off_one_by_one(padding, flip):
    plan = plan_epoch(0, 0, 50, padding=padding, flip=flip)
    assert (plan.shift.min(), plan.shift.max()) == (-padding, padding)
    assert plan.flip.max() == int(flip)
    assert np.array_equal(plan.index, plan_epoch(0, 0, 50, padding=4, flip=True).index), "the order stays"


def test_images_are_on_the_device_once():
    arrays = arrays_of(IMAGES)
    images = on_device(arrays)
    assert images.dtype == "uint8"
    assert not images.trainable
    np.testing.assert_array_equal(ops.convert_to_numpy(images), IMAGES)
    images.assign(np.zeros_like(IMAGES))
    assert on_device(arrays) is images
    assert not ops.convert_to_numpy(images).any(), "they are not copied again for the next network"


@fault(
    "training",
    "The training images do not fit on the GPU",
    here="they stay in the computer's memory, and each batch is read from there, with the same result",
)
def test_images_that_do_not_fit_stay_where_they_are(monkeypatch):
    def full(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(keras, "Variable", full)
    assert on_device(arrays_of(IMAGES)) is None


def test_the_memory_of_a_gpu_is_what_this_process_may_take(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["gpu"])
    shares = [SimpleNamespace(memory_limit=3000)]  # MiB
    monkeypatch.setattr(tf.config, "get_logical_device_configuration", lambda _: shares)
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    assert augmentation._memory() == 3000 * 1024 * 1024
    shares.clear()
    assert augmentation._memory() == float("inf")
    jax = SimpleNamespace(local_devices=lambda: [SimpleNamespace(memory_stats=lambda: {"bytes_limit": 5})])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setitem(sys.modules, "jax", jax)
    assert augmentation._memory() == 5


def test_the_inputs_of_a_step_are_an_index_or_the_images_themselves():
    index, shift, flip = plan_inputs(None)
    assert [(one.shape, one.dtype) for one in (index, shift, flip)] == [
        ((None,), "int32"), ((None, 2), "int32"), ((None,), "int32"),
    ]  # fmt: skip
    images = plan_inputs((HEIGHT, WIDTH, 3))[0]
    assert (images.shape, images.dtype) == ((None, HEIGHT, WIDTH, 3), "uint8")


def test_images_may_take_half_of_the_memory(monkeypatch):
    arrays = arrays_of(IMAGES)
    for memory, kept in ((2 * IMAGES.nbytes, True), (2 * IMAGES.nbytes - 1, False)):
        monkeypatch.setattr(augmentation, "_memory", lambda memory=memory: memory)
        augmentation._variable.cache_clear()
        assert (on_device(arrays) is not None) is kept


def test_only_the_images_in_use_stay_on_the_device():
    first, second = arrays_of(IMAGES), arrays_of(IMAGES[:2])
    images = on_device(first)
    assert on_device(second).shape[0] == 2
    assert on_device(first) is not images


def test_images_that_a_broken_step_took_away_are_copied_again(monkeypatch):
    arrays = arrays_of(IMAGES)
    images = on_device(arrays)
    images.assign(np.zeros_like(IMAGES))
    monkeypatch.setattr(augmentation, "_given_away", lambda variable: variable is images)
    assert on_device(arrays) is images
    np.testing.assert_array_equal(ops.convert_to_numpy(images), IMAGES)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (None, True),
        (SimpleNamespace(is_deleted=lambda: True), True),
        (SimpleNamespace(is_deleted=lambda: False), False),
        (np.zeros(1), False),
    ],
    ids=["nothing", "deleted", "there", "of TensorFlow"],
)
def test_a_step_of_jax_that_failed_takes_its_variables_away(value, taken):
    assert augmentation._given_away(SimpleNamespace(_value=value)) is taken
