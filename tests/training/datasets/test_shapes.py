from __future__ import annotations

import hashlib

import numpy as np
import pytest

from resnet_search.training.datasets import ImageData, fingerprint, load_data
from resnet_search.training.datasets.shapes import FIGURES, draw


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_data("shapes")


def test_the_data_set_is_the_same_bytes_everywhere(data: ImageData) -> None:
    assert data.x_train.shape == (4_000, 32, 32, 3)
    assert data.x_test.shape == (1_000, 32, 32, 3)
    assert np.bincount(data.y_train).tolist() == [400] * 10
    assert np.bincount(data.y_test).tolist() == [100] * 10
    assert fingerprint(data) == "5604e3d3e841980cac234a4f77c7ec73e39f535a69baee6211bbaa9e9303f2f1"


def test_train_and_test_have_no_image_in_common(data: ImageData) -> None:
    digests = [{hashlib.sha256(image.tobytes()).digest() for image in part} for part in (data.x_train, data.x_test)]
    assert len(digests[0]) == 4_000
    assert not digests[0] & digests[1]


def test_another_seed_draws_other_images() -> None:
    (one, labels), (other, _) = draw(20, 1), draw(20, 2)
    assert labels.tolist() == [*range(10), *range(10)]
    assert not np.array_equal(one, other)
    assert np.array_equal(draw(20, 1)[0], one)


def test_colour_alone_does_not_give_the_class_away(data: ImageData) -> None:
    """The nearest class mean, in colour averages, is right hardly more often than by chance."""
    train, test = (images.mean(axis=(1, 2)) for images in (data.x_train, data.x_test))
    means = np.stack([train[data.y_train == label].mean(0) for label in range(10)])
    guesses = ((test[:, None] - means) ** 2).sum(-1).argmin(1)
    assert (guesses == data.y_test).mean() < 0.2


def _inside(name: str) -> np.ndarray:
    grid = np.linspace(-1.2, 1.2, 49, dtype=np.float32)
    return FIGURES[name](*np.meshgrid(grid, grid)) < 0


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_lies_within_its_frame(name: str) -> None:
    inside = _inside(name)
    assert 0.08 < inside.mean() < 0.6
    edge = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    assert not edge.any()


def test_figures_are_what_they_are_called() -> None:
    middle = (24, 24)
    assert {name for name in FIGURES if not _inside(name)[middle]} == {"ring", "frame", "crescent", "arch"}
    for name in ("disc", "ring", "square", "frame", "cross"):
        assert np.array_equal(_inside(name), _inside(name)[::-1])
        assert np.array_equal(_inside(name), _inside(name).T)
    for name in ("triangle", "star", "arch", "tee"):
        assert np.array_equal(_inside(name), _inside(name)[:, ::-1])
        assert not np.array_equal(_inside(name), _inside(name)[::-1])
