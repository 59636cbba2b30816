from __future__ import annotations

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from resnet_search.training.augmentation import StoredImages, plan_epoch

IMAGES = np.random.default_rng(0).integers(0, 256, size=(6, 5, 7, 3), dtype=np.uint8)
FILL = (10.4, 20.6, 30.0)


STORED = StoredImages(keras.Variable(IMAGES, dtype="uint8", trainable=False), FILL)


def by_padding(index: int, down: int, right: int, flip: int) -> np.ndarray:
    """The textbook way: mirror, pad with the fill, cut out."""
    image = IMAGES[index][:, ::-1] if flip else IMAGES[index]
    border = max(abs(down), abs(right), 1)
    padded = np.empty((5 + 2 * border, 7 + 2 * border, 3), np.uint8)
    padded[:] = np.rint(FILL).astype(np.uint8)
    padded[border : border + 5, border : border + 7] = image
    return padded[border - down : border - down + 5, border - right : border - right + 7]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(-6, 6), st.integers(-8, 8), st.integers(0, 1)), min_size=3, max_size=3
    )
)
def test_the_gather_is_padding_and_cropping(wanted):
    index, down, right, flip = (np.array(column, np.int32) for column in zip(*wanted, strict=True))
    moved = ops.convert_to_numpy(STORED([index, np.stack([down, right], axis=1), flip]))
    assert moved.dtype == np.uint8
    for image, row in zip(moved, wanted, strict=True):
        np.testing.assert_array_equal(image, by_padding(*row))


def test_an_epoch_is_a_function_of_seed_and_epoch():
    one = plan_epoch(5, 2, 100, padding=4, flip=True)
    two = plan_epoch(5, 2, 100, padding=4, flip=True)
    other = plan_epoch(5, 3, 100, padding=4, flip=True)
    assert np.array_equal(one.index, two.index)
    assert np.array_equal(one.shift, two.shift)
    assert not np.array_equal(one.index, other.index)
    assert sorted(one.index) == list(range(100)), "every image once"
    assert set(np.unique(one.shift)) == set(range(-4, 5))
    assert set(np.unique(one.flip)) == {0, 1}


def test_without_augmentation_nothing_moves():
    plan = plan_epoch(0, 0, 10, padding=0, flip=False)
    assert not plan.shift.any()
    assert not plan.flip.any()
