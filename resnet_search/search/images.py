"""The images of a run: read from their source, split, written for its workers to map, and written again if lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.errors import DataError, RunError
from resnet_search.files import expand_home
from resnet_search.runs.folder import RunFolder
from resnet_search.spaces.schema import DATA_NAMES
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.arrays import Arrays, channel_statistics, intact, write_arrays
from resnet_search.training.datasets import RULE, ImageData, find_duplicates, fingerprint, load_data, split
from resnet_search.training.split_sizes import subset_validation
from resnet_search.workers.quiet import quiet_stderr


def read_data(
    space: SearchSpace, data_dir: Path | None, seed: int, train_examples: int | None, *, merged: bool = False
) -> tuple[Arrays, dict[str, Any]]:
    """Load the images of a space and split them; return them with their description for run.json.

    `merged`: the training images include the validation images. The test images are only counted.
    """
    data = load_data(
        space.data.source,
        data_dir=data_dir,
        image_size=space.data.image_size,
        value_range=space.data.value_range,
    )
    return _parts(data, space, data_dir, seed, train_examples, merged=merged)


def _parts(
    data: ImageData,
    space: SearchSpace,
    data_dir: Path | None,
    seed: int,
    train_examples: int | None,
    *,
    merged: bool,
    rule: int = RULE,
) -> tuple[Arrays, dict[str, Any]]:
    validation = subset_validation(space.data.validation, len(data.x_train), train_examples)
    groups, duplicates, equal = find_duplicates(data, grouped=rule > 1)
    parts = split(data, validation=validation, seed=seed, train_examples=train_examples, groups=groups)
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
    grouped = rule > 1 and duplicates.train > 0
    kind = f"{'-grouped' if grouped else ''}{'-merged' if merged else ''}"
    key = f"{digest[:16]}-{len(trained)}-{len(parts.validation_index)}-{seed}{kind}"
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
        # The share of validation images that guessing the most frequent class gets right.
        "largest_class": float(np.bincount(arrays.y_validation).max() / len(arrays.y_validation)),
        "test": len(data.x_test),
        "image_shape": list(arrays.image_shape),
        "classes": list(data.classes),
        "mean": list(mean),
        "std": list(std),
        "notes": [*data.notes, *equal],
        "rule": rule,
        "grouped": grouped,
        "duplicates": duplicates.to_dict(),
        "values": None if data.values is None else data.values.to_dict(),
        "left_out": {split: dict(counts) for split, counts in data.left_out.items()},
    }


def arrays_of(folder: RunFolder, content: dict[str, Any], space: SearchSpace) -> Path:
    """Return the path of a run's arrays, compared with their digest once in a process.

    Lost or damaged ones are written again from the source; `RunError` if the images differ.
    """
    described = content["data"]
    path = folder.arrays(content)
    if intact(path):
        return path
    merged = bool(described.get("merged"))
    arrays, _ = read_again(folder, content, space, described["train_examples"], merged=merged)
    write_arrays(path, arrays)
    return path


def read_again(
    folder: RunFolder, content: dict[str, Any], space: SearchSpace, train_examples: int | None, *, merged: bool
) -> tuple[Arrays, dict[str, Any]]:
    """Call `read_data` for the images that a run was started on; `RunError` if they have changed."""
    described = content["data"]
    data_dir = None if described["data_dir"] is None else Path(described["data_dir"])
    with quiet_stderr():
        data = load_again(described, space)
        arrays, again = _parts(
            data, space, data_dir, int(content["seed"]), train_examples, merged=merged, rule=_rule(described)
        )
    if again["fingerprint"] != described["fingerprint"]:
        raise RunError(
            f"{folder.name}: its images, {described['location'] or described['source']}, have changed since it started",
            "Restore the original images, or start a new run.",
        )
    return arrays, again


def load_again(described: dict[str, Any], space: SearchSpace) -> ImageData:
    """Call `load_data` for the images that run.json describes. Errors about a path ask the user to restore it."""
    source = space.data.source
    try:
        return load_data(
            source,
            data_dir=described["data_dir"],
            image_size=space.data.image_size,
            value_range=space.data.value_range,
            rule=_rule(described),
        )
    except DataError as error:
        if _has_a_name(source):
            raise
        raise DataError(
            error.message, f"The run was started on {source}: restore it unchanged, or start a new run."
        ) from error


def _rule(described: dict[str, Any]) -> int:
    """Return the rules that a run used to read and divide its images; runs of earlier versions record none."""
    return int(described.get("rule", 1))


def with_absolute_source(space: SearchSpace) -> SearchSpace:
    """Make a path absolute, so that the run can be resumed from another folder."""
    source = absolute_source(space.data.source)
    return space if source == space.data.source else space.with_settings(source=source)


def absolute_source(source: str) -> str:
    """Return the source of images; a path becomes independent of this process's working directory."""
    if _has_a_name(source):
        return source
    return str(expand_home(source).absolute())


def _has_a_name(source: str) -> bool:
    """Return whether a source of images is a name, not a path."""
    return source in DATA_NAMES or source.startswith("tfds:")
