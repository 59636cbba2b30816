"""Check a prepared TensorFlow Datasets set by its JSON files: columns, splits and record files.

The one check of a prepared set, before a plan counts it and before a run reads it. Neither TensorFlow nor NumPy is
imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_search.errors import DataError
from resnet_search.reading import read_json
from resnet_search.training.datasets.image_data import printable
from resnet_search.training.datasets.image_files import class_names

TEST_SPLITS = ("test", "validation")  # the first whose labels are given
IMAGE, LABEL = "Image", "ClassLabel"
DAMAGED = "Check the name and its configuration; remove a damaged or half-made copy, to have it prepared again."
_INFO, _FEATURES = "dataset_info.json", "features.json"
_FEATURE = re.compile(r"tensorflow_datasets\.[\w.]+", re.ASCII)
_NAMED = ("pythonClassName", "python_class_name", "type")
_FILES = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_RECORDS = "tfrecord"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The number of images of each split, and the number of classes."""

    images: Mapping[str, int]
    classes: int


def check_prepared(folder: Path) -> Prepared | None:
    """Return what the set in `folder` holds, a prepared version's; None for a format that only TFDS itself reads.

    Raises DataError for files that cannot be read, a feature outside TensorFlow Datasets, a set without one image and
    one label, without a split to train on, or with an empty one, and for records that are absent or truncated.
    """
    check_features(folder)
    try:
        info, features = (read_json(folder / name) for name in (_INFO, _FEATURES))
        where = f"tfds:{info['name']}"
        if "content" in features:  # Written before TFDS 4.5.
            return None
        kinds = features.get("featuresDict", {}).get("features", {})
        names = {key: str(kind.get(_NAMED[0])) for key, kind in kinds.items()}
        pair = info.get("supervisedKeys", {}).get("tuple", {}).get("items", [])
        supervised = [item.get("featureKey") for item in pair]
        splits = {split["name"]: split for split in info["splits"]}
        images = {name: sum(map(int, split.get("shardLengths", ()))) for name, split in splits.items()}
        _, label = columns(where, {key: name.rpartition(".")[2] for key, name in names.items()}, supervised)
        classes = int(kinds[label]["classLabel"]["numClasses"])
        check_splits(images, where)
        for split in splits.values():
            _check_files(folder, info, split, where)
        if (listed := folder / f"{label}.labels.txt").is_file():
            class_names([line.strip() for line in listed.read_text("utf-8").splitlines() if line.strip()], where)
    except DataError:
        raise
    except Exception as error:  # whatever a damaged file leads to
        raise DataError(f"{printable(folder)}: cannot be read: {printable(error)[:300]}", DAMAGED) from error
    return Prepared(images, classes)


def check_features(folder: Path) -> None:
    """Raise `DataError` if features.json names a class outside TensorFlow Datasets, whose module TFDS would import."""
    try:
        strange = sorted(name for name in _named_classes(read_json(folder / _FEATURES)) if not _FEATURE.fullmatch(name))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{printable(folder / _FEATURES)}: cannot be read: {printable(error)}", DAMAGED) from error
    if strange:
        raise DataError(
            f"{printable(folder / _FEATURES)}: names {printable(strange[0][:100])}; allowed: features of "
            "tensorflow_datasets, since reading another would import its module",
            "Convert the images to a folder or an .npz file.",
        )


def _named_classes(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        named = (value.get(key) for key in _NAMED)
        yield from (name for name in named if isinstance(name, str) and "." in name)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _named_classes(inner)


def columns(where: str, kinds: Mapping[str, str], supervised: Iterable[Any]) -> tuple[str, str]:
    """Return the columns of the image and of the label, from the class names of all columns.

    `supervised`: the two that the set itself names. Raises DataError if there is not one of each.
    """
    images, labels = ([key for key, kind in kinds.items() if kind == wanted] for wanted in (IMAGE, LABEL))
    match list(supervised):
        case [image, label] if image in images and label in labels:
            return image, label
    if len(images) == len(labels) == 1:
        return images[0], labels[0]
    held = ", ".join(f"{key} ({kind})" for key, kind in kinds.items())
    raise DataError(
        f"{where}: not a set for image classification; it holds {held or 'no columns'}",
        "Choose a set with one image and one class label.",
    )


def check_splits(images: Mapping[str, int], where: str) -> None:
    """Raise DataError if a set, with the number of `images` in each split, has none to train on, or an empty one."""
    if "train" not in images:
        raise DataError(f"{where}: no split 'train'; it has {', '.join(images)}", "Choose another set.")
    test = next((name for name in TEST_SPLITS if name in images), "train")
    for name in ("train", test):
        if not images[name]:
            raise DataError(f"{where}: its split {name!r} is empty", "Choose another set.")


def _check_files(folder: Path, info: Mapping[str, Any], split: Mapping[str, Any], where: str) -> None:
    """Raise DataError if records of a split are absent, or take fewer bytes than their examples alone."""
    count, suffix = len(split.get("shardLengths", ())), str(info.get("fileFormat", _RECORDS))
    present = 0
    for shard in range(count):
        known = {"{DATASET}": info["name"], "{SPLIT}": split["name"], "{FILEFORMAT}": suffix}
        known |= {"{SHARD_X_OF_Y}": f"{shard:05}-of-{count:05}", "{SHARD_INDEX}": f"{shard:05}"}
        name = split.get("filepathTemplate") or _FILES
        for key, value in (known | {"{NUM_SHARDS}": f"{count:05}"}).items():
            name = name.replace(key, value)
        if not (folder / name).is_file():
            raise DataError(f"{where}: no file {printable(name)} in {printable(folder)}", DAMAGED)
        present += (folder / name).stat().st_size
    if suffix == _RECORDS and present < (stated := int(split.get("numBytes", 0))):
        raise DataError(
            f"{where}: the records of {split['name']!r} have {present:,} bytes, of {stated:,} or more", DAMAGED
        )
