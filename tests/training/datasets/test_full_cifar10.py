"""The full-size CIFAR-10 is the same data set in every form: counts, class balance, and images up to their order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resnet_search.training.datasets import ImageData, load_data
from resnet_search.training.datasets.cifar_archives import CLASSES

pytestmark = pytest.mark.slow

FORMS: dict[str, Callable[[Path], ImageData]] = {
    "tfds": lambda folder: load_data("cifar10", data_dir=folder / "tfds"),
    "tfds by name": lambda folder: load_data("tfds:cifar10", data_dir=folder / "tfds"),
    "pickled archive": lambda folder: load_data(str(folder / "cifar-10-python.tar.gz")),
    "binary archive": lambda folder: load_data(str(folder / "cifar-10-binary.tar.gz")),
    "pickled folder": lambda folder: load_data("cifar10", data_dir=folder / "cifar-10-batches-py"),
    "binary folder": lambda folder: load_data(str(folder / "cifar-10-batches-bin")),
    "npz": lambda folder: load_data(str(folder / "cifar10.npz")),
}


def _digests(images: np.ndarray, labels: np.ndarray) -> list[bytes]:
    return sorted(
        hashlib.sha256(image.tobytes() + bytes([label])).digest() for image, label in zip(images, labels, strict=True)
    )


@pytest.fixture(scope="module")
def expected(full_cifar10: Path) -> tuple[list[bytes], list[bytes]]:
    """The images with their labels, read by NumPy alone."""
    with np.load(full_cifar10 / "cifar10.npz") as file:
        return _digests(file["x_train"], file["y_train"]), _digests(file["x_test"], file["y_test"])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_images(form: str, full_cifar10: Path, expected: tuple[list[bytes], ...]) -> None:
    data = FORMS[form](full_cifar10)
    assert data.x_train.shape == (50_000, 32, 32, 3)
    assert data.x_test.shape == (10_000, 32, 32, 3)
    assert np.bincount(data.y_train).tolist() == [5_000] * 10
    assert np.bincount(data.y_test).tolist() == [1_000] * 10
    assert data.classes == (tuple("0123456789") if form == "npz" else CLASSES)
    assert (_digests(data.x_train, data.y_train), _digests(data.x_test, data.y_test)) == expected


def test_the_folder_of_images_holds_some_of_them(full_cifar10: Path, expected: tuple[list[bytes], ...]) -> None:
    data = load_data(str(full_cifar10 / "folder"))
    assert (len(data.y_train), len(data.y_test)) == (2_000, 500)
    assert data.classes == CLASSES
    assert set(_digests(data.x_train, data.y_train)) <= set(expected[0])
    assert set(_digests(data.x_test, data.y_test)) <= set(expected[1])
