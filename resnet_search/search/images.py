"""The images of a run: read from their source, split, written where its workers map them, and made anew if gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.errors import RunError
from resnet_search.runs.folder import RunFolder
from resnet_search.spaces.schema import DATA_NAMES
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.arrays import Arrays, channel_statistics, whole, write_arrays
from resnet_search.training.datasets import fingerprint, load_data, split
from resnet_search.workers.quiet import quiet_stderr


def read_data(
    space: SearchSpace, data_dir: Path | None, seed: int, train_examples: int | None, *, merged: bool = False
) -> tuple[Arrays, dict[str, Any]]:
    """Load the images of a space and split them; with them what run.json says of them.

    `merged`: the training images hold the validation images as well. The test images are counted, and nothing else.
    """
    data = load_data(space.data.source, data_dir=data_dir, image_size=space.data.image_size)
    validation = space.data.validation
    if train_examples is not None:
        validation = _subset_validation(validation, len(data.x_train), train_examples)
    parts = split(data, validation=validation, seed=seed, train_examples=train_examples)
    trained = np.concatenate([parts.train_index, parts.validation_index]) if merged else parts.train_index
    x_train = data.x_train[trained]
    mean, std = channel_statistics(x_train)
    arrays = Arrays(
        x_train,
        data.y_train[trained],
        data.x_train[parts.validation_index],
        data.y_train[parts.validation_index],
        data.classes,
        mean,
        std,
    )
    digest = fingerprint(data)
    key = f"{digest[:16]}-{len(trained)}-{len(parts.validation_index)}-{seed}{'-merged' if merged else ''}"
    return arrays, {
        "source": space.data.source,
        "location": data.location,
        "data_dir": None if data_dir is None else str(data_dir.resolve()),
        "fingerprint": digest,
        "arrays": key,
        "train": len(trained),
        "train_examples": train_examples,
        "merged": merged,
        "validation": len(parts.validation_index),
        "test": len(data.x_test),
        "image_shape": list(arrays.image_shape),
        "classes": list(data.classes),
        "mean": list(mean),
        "std": list(std),
        "notes": list(data.notes),
    }


def _subset_validation(validation: float, images: int, train_examples: int) -> float:
    """A search on a part of the images validates on a part too: a quarter as many, but 1,000 if there are."""
    planned = round(validation * images) if isinstance(validation, float) else int(validation)
    return min(planned, max(1000, train_examples // 4))


def arrays_of(folder: RunFolder, content: dict[str, Any], space: SearchSpace) -> Path:
    """The arrays of a run; made anew from its source where they are gone, `RunError` if that gives others."""
    described = content["data"]
    path = folder.arrays(content)
    if whole(path):
        return path
    data_dir = described["data_dir"]
    with quiet_stderr():
        arrays, again = read_data(
            space,
            None if data_dir is None else Path(data_dir),
            content["seed"],
            described["train_examples"],
            merged=bool(described.get("merged")),
        )
    if again["fingerprint"] != described["fingerprint"]:
        raise RunError(
            f"{folder.name}: its images, {described['location'] or described['source']}, are not those it started with",
            "Bring the original images back, or start a new run.",
        )
    write_arrays(path, arrays)
    return path


def with_absolute_source(space: SearchSpace) -> SearchSpace:
    """A path means the same when the run is resumed from another folder."""
    source = absolute_source(space.data.source)
    return space if source == space.data.source else space.with_settings(source=source)


def absolute_source(source: str) -> str:
    """The source of images, a path of which does not depend on the folder that this process was started in."""
    if source in DATA_NAMES or source.startswith("tfds:"):
        return source
    try:
        path = Path(source).expanduser()
    except RuntimeError:  # The home of a user that does not exist: `load_data` says that nothing is there.
        path = Path(source)
    return str(path.absolute())
