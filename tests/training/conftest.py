"""Images small enough that training on them takes a moment."""

from __future__ import annotations

import numpy as np
import pytest

from resnet_search.networks.architecture import Architecture
from resnet_search.training.arrays import Arrays, channel_statistics
from resnet_search.training.job import Job
from resnet_search.training.kept import KEPT


@pytest.fixture(autouse=True)
def nothing_kept():
    """Each test begins as a worker process does."""
    KEPT.forget()


@pytest.fixture(scope="session")
def arrays() -> Arrays:
    """80 + 40 images of 12 x 12 whose class, one of four, is the bright quarter: learnable in a few steps."""
    random = np.random.default_rng(0)
    labels = np.arange(120) % 4
    images = random.integers(0, 80, size=(120, 12, 12, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = divmod(int(label), 2)
        image[6 * top : 6 * top + 6, 6 * left : 6 * left + 6] += 150
    mean, std = channel_statistics(images[:80])
    return Arrays(images[:80], labels[:80], images[80:], labels[80:], ("a", "b", "c", "d"), mean, std)


@pytest.fixture
def make_job(tmp_path):
    """A job on a tiny network; keyword arguments replace its fields."""

    def make(**values) -> Job:
        trial = values.pop("trial", "0000")
        recipe = {"batch_size": 16, "crop_padding": 1, "flip": False, **values.pop("recipe", {})}
        settings = {
            "folder": str(tmp_path / f"trial_{trial}"),
            "parent": None,
            "architecture": Architecture.from_axes(block="basic", n=1, width=4).to_dict(),
            "recipe": recipe,
            "seed": 3,
            "initial_epoch": 0,
            "epochs": 2,
            "horizon": 4,
            "data": "",
        }
        return Job(trial=trial, **{**settings, **values})

    return make
