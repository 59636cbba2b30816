"""The images of a run, once more from their source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_search.errors import DataError, RunError
from resnet_search.runs.folder import RunFolder
from resnet_search.search.images import arrays_of, load_again, read_again, read_data
from resnet_search.spaces.space import SearchSpace
from resnet_search.training import arrays
from tests.faults.table import fault

from .conftest import make_space

Run = tuple[RunFolder, dict[str, Any], SearchSpace]


def save(path: Path, seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    images = {
        f"x_{part}": random.integers(0, 256, (number, 32, 32, 3), dtype=np.uint8)
        for part, number in (("train", 40), ("test", 10))
    }
    labels = {f"y_{part}": np.arange(number) % 2 for part, number in (("train", 40), ("test", 10))}
    np.savez(path, **images, **labels)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run's folder, what its run.json says, and its space, whose images are a file; they are not written yet."""
    source = tmp_path / "photos.npz"
    save(source)
    space = make_space().with_settings(source=str(source), validation=8)
    _, description = read_data(space, None, 0, 20)
    return RunFolder(tmp_path / "runs" / "r"), {"data": description, "seed": 0}, space


def test_they_are_the_same(run: Run) -> None:
    folder, content, space = run
    _, again = read_again(folder, content, space, 20, merged=False)
    assert again == content["data"]
    assert arrays_of(folder, content, space).is_dir()


def test_images_that_are_gone_are_to_be_brought_back(run: Run, tmp_path: Path) -> None:
    """Whoever goes on with a run cannot name others: what is told to somebody who starts one is no cure here."""
    folder, content, space = run
    (tmp_path / "photos.npz").rename(tmp_path / "moved.npz")
    for read in (lambda: arrays_of(folder, content, space), lambda: load_again(content["data"], space)):
        with pytest.raises(DataError, match="no such file") as raised:
            read()
        assert str(tmp_path / "photos.npz") in raised.value.cure


def test_other_images_in_their_place_are_refused(run: Run, tmp_path: Path) -> None:
    folder, content, space = run
    save(tmp_path / "photos.npz", seed=1)
    with pytest.raises(RunError, match=r"^r: .*photos\.npz"):
        arrays_of(folder, content, space)


def _copied(path: Path) -> None:
    """Ten images, each four times, of two classes."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(10) % 2
    np.savez(path, x_train=images.repeat(4, 0), y_train=labels.repeat(4), x_test=images[:3], y_test=labels[:3])


def _sides(folder: Path) -> int:
    """How many validation images equal a training image."""
    train = {image.tobytes() for image in np.load(folder / "x_train.npy")}
    return sum(image.tobytes() in train for image in np.load(folder / "x_validation.npy"))


@fault(
    "images",
    "The same image is in the training images several times",
    here="images with the same pixels stay on one side of the validation split, in every source; `plan` (by the "
    "files), `run`, `doctor` and the report count them",
)
def test_equal_images_are_counted_and_kept_on_one_side(run: Run, tmp_path: Path) -> None:
    _copied(tmp_path / "photos.npz")
    folder, _, space = run
    _, described = read_data(space, None, 0, None)
    assert described["duplicates"] == {"train": 40, "groups": 10, "several_classes": 0, "test_in_train": 3}
    assert described["grouped"]
    assert (described["train"], described["validation"]) == (32, 8)
    assert len(described["notes"]) == 2
    assert _sides(arrays_of(folder, {"data": described, "seed": 0}, space)) == 0


def test_a_run_of_an_earlier_version_keeps_its_split(run: Run, tmp_path: Path) -> None:
    """It records no rule: its equal images stay where they were, and its arrays under their name."""
    _copied(tmp_path / "photos.npz")
    folder, _, space = run
    _, described = read_data(space, None, 0, None)
    for new in ("rule", "grouped", "duplicates", "values", "left_out"):
        del described[new]
    described["arrays"] = described["arrays"].replace("-grouped", "")
    old = {"data": described, "seed": 0}
    assert _sides(arrays_of(folder, old, space)) > 0
    _, again = read_again(folder, old, space, None, merged=False)
    assert (again["rule"], again["arrays"]) == (1, described["arrays"])


def test_damaged_arrays_are_written_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, content, space = run
    path = arrays_of(folder, content, space)
    before = (path / "x_train.npy").read_bytes()
    (path / "x_train.npy").write_bytes(before[: len(before) // 2] + bytes(len(before) - len(before) // 2))
    monkeypatch.setattr(arrays, "_checked", set())
    assert (arrays_of(folder, content, space) / "x_train.npy").read_bytes() == before


def test_a_stated_range_is_part_of_the_run(run: Run, tmp_path: Path) -> None:
    folder, _, space = run
    images = np.random.default_rng(0).integers(0, 17, (40, 32, 32)).astype(float)
    labels = np.arange(40) % 2
    np.savez(tmp_path / "photos.npz", x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
    stated = space.with_settings(value_range=(0, 16))
    assert SearchSpace.from_dict(stated.to_dict()) == stated
    _, described = read_data(stated, None, 0, None)
    assert described["values"] == {"low": 0, "high": 16, "of": "arrays"}
    x = np.load(arrays_of(folder, {"data": described, "seed": 0}, stated) / "x_train.npy")
    assert (x.min(), x.max()) == (0, 255)


def test_a_name_that_cannot_be_read_keeps_its_cure(run: Run) -> None:
    _, content, space = run
    with pytest.raises(DataError) as raised:
        load_again(content["data"], space.with_settings(source="tfds:no_such_set_at_all:9.9.9"))
    assert "restore it unchanged" not in raised.value.cure
