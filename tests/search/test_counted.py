"""What is known of the images before they are read is what a run then divides them into."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resnet_search.errors import DataError
from resnet_search.search.counted import Counted, counted_images
from resnet_search.search.images import read_data
from resnet_search.spaces.load import load_space
from resnet_search.spaces.schema import Data


@pytest.mark.parametrize(("validation", "train_examples"), [
    (0.2, None), (400, None), (0.2, 1000), (0.9, 1000), (0.5, 2000), (400, 3600),
    (5000, None), (400, 3601), (0.2, 5), (9, None), (0.0001, None), (0.9, 3000),
])  # fmt: skip
def test_the_division_is_that_of_a_run(validation: float, train_examples: int | None, tmp_path: Path) -> None:
    """The images are as `shapes` has them, but small."""
    labels = np.arange(4000) % 10
    x, y = np.random.default_rng(0).integers(0, 256, (4000, 8, 8, 3), np.uint8), labels
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=255 - x[:1000], y_test=y[:1000])
    data = Data(source=str(tmp_path / "a.npz"), validation=validation, image_size=8)
    space = replace(load_space("quickstart", tmp_path), data=data)
    try:
        _, read = read_data(space, None, 0, train_examples)
    except DataError as error:
        for source in (data, replace(data, source="shapes")):
            with pytest.raises(DataError, match=re.escape(str(error))):
                counted_images(source, None, train_examples)
        return
    expected = Counted(read["train"], read["validation"], read["test"], len(read["classes"]))
    assert counted_images(data, None, train_examples) == expected
    assert counted_images(replace(data, source="shapes"), None, train_examples) == expected


def test_what_only_reading_can_tell(tmp_path: Path) -> None:
    data = Data(source="tfds:mnist")
    assert counted_images(data, tmp_path, 400) == Counted(400, here=False)
    assert counted_images(data, tmp_path, None).planned_classes == 10


def test_a_source_of_known_size_may_have_to_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "USERPROFILE", "KERAS_HOME", "TFDS_DATA_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = counted_images(Data(source="cifar10", validation=5000), None, None)
    assert found == Counted(45_000, 5_000, 10_000, 10, here=False)


@pytest.mark.parametrize("source", ["shapes", "cifar10"])
def test_a_range_of_values_is_for_images_that_are_not_bytes(source: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--value-range: got 0,16"):
        counted_images(Data(source=source, value_range=(0, 16)), tmp_path, None)
    assert counted_images(Data(source=source, value_range=(0, 255)), tmp_path, None).train is not None
