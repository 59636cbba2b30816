from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_search.errors import DataError
from resnet_search.training.datasets import copies, find_duplicates, load_data, split
from resnet_search.training.datasets.copies import count_copies
from resnet_search.training.datasets.duplicates import Duplicates
from tests.faults.table import fault


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("ant", "bee"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / part / name / f"{number}.png")
    return tmp_path / "images"


def test_equal_files_are_counted_as_their_pixels_are(folder: Path) -> None:
    first = folder / "train" / "ant" / "0.png"
    for copy in ("train/ant/x.png", "train/ant/y.png", "train/bee/x.png", "test/ant/x.png", "test/bee/y.png"):
        shutil.copy(first, folder / copy)
    shutil.copy(folder / "test" / "bee" / "1.png", folder / "test" / "bee" / "z.png")
    counted = count_copies(str(folder))
    assert counted == Duplicates(train=4, groups=1, several_classes=1, test_in_train=2)
    _, found, notes = find_duplicates(load_data(str(folder)))
    assert found == counted
    assert len(notes) == 3


def test_the_same_pixels_in_another_format_are_for_a_run(folder: Path) -> None:
    Image.open(folder / "train" / "ant" / "0.png").save(folder / "train" / "ant" / "x.bmp")
    assert count_copies(str(folder)) == Duplicates()
    assert find_duplicates(load_data(str(folder)))[1] == Duplicates(train=2, groups=1)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_equal_arrays_are_counted(tmp_path: Path, save: object) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)[[0, 1, 2, 0, 0, 3, 4, 5]]
    save(  # type: ignore[operator]
        tmp_path / "a.npz", x_train=images, y_train=np.array([0, 1] * 4), x_test=images[5:], y_test=np.array([0, 1, 0])
    )
    counted = count_copies(str(tmp_path / "a.npz"))
    assert counted == Duplicates(train=3, groups=1, several_classes=1, test_in_train=3)
    assert find_duplicates(load_data(str(tmp_path / "a.npz")))[1] == counted


def _same_error(source: Path) -> None:
    with pytest.raises(DataError) as planned:
        count_copies(str(source))
    with pytest.raises(DataError) as later:
        split(load_data(str(source)), validation=4, seed=0)
    assert str(planned.value) == str(later.value)
    assert "bee" in str(planned.value)


@fault("images", "All training images of a class are equal", here="`plan` and `run` report the same error")
def test_a_class_of_equal_images_is_an_error_of_both(folder: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        shutil.copy(folder / "train" / "bee" / "0.png", folder / "train" / "bee" / f"{number}.png")
    _same_error(folder)
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8), np.uint8)
    images[1::2] = images[1]
    labels = (np.arange(8) % 2).astype(">i4")
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "a.npz", **arrays, classes=np.array(["ant", "bee"]))
    _same_error(tmp_path / "a.npz")


def test_nothing_is_counted_of_what_is_large_or_of_another_kind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_copies("shapes") is None
    shutil.copy(folder / "train" / "ant" / "0.png", folder / "train" / "ant" / "x.png")
    monkeypatch.setattr(copies, "MOST_BYTES", 10)
    assert count_copies(str(folder)) is None
