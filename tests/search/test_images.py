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


def test_a_name_that_cannot_be_read_keeps_its_cure(run: Run) -> None:
    _, content, space = run
    with pytest.raises(DataError) as raised:
        load_again(content["data"], space.with_settings(source="tfds:no_such_set_at_all:9.9.9"))
    assert "restore it unchanged" not in raised.value.cure
