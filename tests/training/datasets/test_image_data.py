from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from resnet_search.errors import DataError
from resnet_search.training.datasets import ImageData, fingerprint
from resnet_search.training.datasets.image_data import check_image_size, printable, resized


def _data(**changes: object) -> ImageData:
    images = np.arange(4 * 2 * 2 * 3, dtype=np.uint8).reshape(4, 2, 2, 3)
    labels = np.array([0, 1, 0, 1])
    data = ImageData(images, labels, images[:2], labels[:2], ("a", "b"), "test")
    return dataclasses.replace(data, **changes)


def test_fingerprint_is_of_content_alone() -> None:
    assert fingerprint(_data()) == fingerprint(_data(source="elsewhere", notes=("note",), location="/x"))
    assert len(fingerprint(_data())) == 64


def test_fingerprint_of_a_view_is_that_of_its_content() -> None:
    twice = np.repeat(_data().x_train, 2, axis=0)
    assert fingerprint(_data(x_train=twice[::2])) == fingerprint(_data())


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ("b", "a")},
        {"classes": ("ab", "")},
        {"y_test": np.array([1, 0])},
        {"x_train": _data().x_train[::-1]},
        {"x_train": _data().x_train.reshape(4, 4, 1, 3)},
        {"y_train": np.array([0, 1, 0, 1], np.int32)},
    ],
)
def test_fingerprint_sees_every_difference(changes: dict[str, object]) -> None:
    assert fingerprint(_data(**changes)) != fingerprint(_data())


def test_resized_keeps_what_has_the_size_already() -> None:
    images = np.zeros((2, 8, 8, 3), np.uint8)
    assert resized(images, 8) is images
    assert resized(images, None) is images


def test_resized_is_antialiased() -> None:
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 255
    small = resized(stripes, 32)
    assert small.shape == (1, 32, 32, 3)
    assert small.dtype == np.uint8
    assert np.abs(small[:, 2:-2, 2:-2].astype(int) - 127).max() <= 2  # a bare pick would leave 0 or 255


@pytest.mark.parametrize("size", [0, 3, -1, 1025, 32.0, "32", True])
def test_an_image_size_that_cannot_be_is_refused(size: object) -> None:
    with pytest.raises(DataError, match="image_size"):
        check_image_size(size)


def test_printable_escapes_what_a_terminal_would_obey() -> None:
    assert printable("a b é 猫") == "a b é 猫"
    assert printable("x\x1b[31m\n\udcff") == "x\\x1b[31m\\n\\udcff"
