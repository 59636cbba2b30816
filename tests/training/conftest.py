"""Images small enough that training on them takes a moment."""

from __future__ import annotations

import gc
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_search.files import read_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.training.arrays import Arrays, channel_statistics
from resnet_search.training.job import HISTORY, Epoch, Job
from resnet_search.training.kept import KEPT


@pytest.fixture(scope="session", autouse=True)
def frozen():
    """As in a worker process: the collection before each network passes over what was imported."""
    gc.freeze()


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


def job_in(folder: Path, /, **values) -> Job:
    """A job on a tiny network; keyword arguments replace its fields."""
    trial = values.pop("trial", "0000")
    settings = {
        "folder": str(folder / f"trial_{trial}"),
        "parent": None,
        "architecture": Architecture(block="basic", blocks=(1,), width=8).to_dict(),
        "recipe": {"batch_size": 16, "crop_padding": 1, "flip": False, **values.pop("recipe", {})},
        "seed": 3,
        "initial_epoch": 0,
        "epochs": 2,
        "horizon": 5,
        "data": "",
    }
    return Job(trial=trial, **{**settings, **values})


@pytest.fixture
def make_job(tmp_path):
    """A job on a tiny network; keyword arguments replace its fields."""
    return lambda **values: job_in(tmp_path, **values)


@dataclass(frozen=True)
class Reference:
    """The candidate of `make_job`, trained for 4 epochs without interruption."""

    folder: Path
    history: list[Epoch]
    heard: list[tuple[int, int]]  # each reported epoch, with the lines of history on disk at that moment
    trainer: Any

    def at(self, epoch: int) -> Path:
        """The trial's folder as it was when `epoch` was reported; with the weights of the score after the last."""
        return self.folder / f"epoch_{epoch}"


@pytest.fixture(scope="session")
def reference(arrays, tmp_path_factory) -> Reference:
    """One training that many tests read; they copy what they change."""
    from resnet_search.training.train import train

    folder = tmp_path_factory.mktemp("reference")
    job = job_in(folder, epochs=4)
    heard = []

    def report(line: Epoch) -> None:
        heard.append((line.epoch, len(read_lines(Path(job.folder, HISTORY)))))
        shutil.copytree(job.folder, folder / f"epoch_{line.epoch}")

    history = train(job, arrays, report)
    return Reference(folder, history, heard, KEPT.take(job, arrays))


@pytest.fixture
def kept(reference, arrays):
    """The compiled network of the reference, kept as in the process that trained it."""
    KEPT.keep(job_in(reference.folder), arrays, reference.trainer, reference.trainer.size)
