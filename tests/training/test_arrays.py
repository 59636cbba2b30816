from __future__ import annotations

import numpy as np
import pytest

from resnet_search.training.arrays import channel_statistics, read_arrays, write_arrays


def test_statistics_are_those_of_numpy():
    images = np.random.default_rng(0).integers(0, 256, size=(7, 5, 4, 3), dtype=np.uint8)
    mean, std = channel_statistics(images)
    assert mean == pytest.approx(images.reshape(-1, 3).mean(axis=0))
    assert std == pytest.approx(images.reshape(-1, 3).std(axis=0))


def test_an_empty_channel_does_not_divide_by_zero():
    assert channel_statistics(np.zeros((2, 2, 2, 1), np.uint8)) == ((0.0,), (1.0,))


def test_what_is_written_is_read_and_cannot_be_changed(arrays, tmp_path):
    write_arrays(tmp_path / "a", arrays)
    again = read_arrays(tmp_path / "a")
    assert again.classes == arrays.classes
    assert again.mean == arrays.mean
    assert np.array_equal(again.x_validation, arrays.x_validation)
    assert again.image_shape == (12, 12, 3)
    with pytest.raises(ValueError, match="read-only"):
        again.x_train[0] = 0
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_test_images_are_not_among_them(arrays, tmp_path):
    write_arrays(tmp_path / "a", arrays)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "meta.json", "x_train.npy", "x_validation.npy", "y_train.npy", "y_validation.npy",
    ]  # fmt: skip
