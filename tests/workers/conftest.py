"""What every kind of worker is tested with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resnet_search.training.arrays import Arrays, channel_statistics, write_arrays


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """The images of a search, so few that an epoch takes no time."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (48, 8, 8, 3), dtype=np.uint8)
    folder = tmp_path_factory.mktemp("data") / "arrays"
    labels = np.arange(48) % 3
    write_arrays(
        folder, Arrays(images[:32], labels[:32], images[32:], labels[32:], ("a", "b", "c"), *channel_statistics(images))
    )
    return folder
