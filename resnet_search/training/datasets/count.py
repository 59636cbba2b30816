"""How many images a data source holds, as far as names and headers tell. No image is read, nothing slow imported."""

from __future__ import annotations

import re
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_search.reading import read_json
from resnet_search.training.datasets.image_data import printable
from resnet_search.training.datasets.image_files import SPLITS, classes_in, files_in, without_images
from resnet_search.training.datasets.locate import OFFICIAL_SIZES
from resnet_search.training.datasets.source import named_source
from resnet_search.training.split_sizes import check_rare


@dataclass(frozen=True, slots=True)
class ImageCount:
    """Images of the two splits of a source, and their classes. What proves unreadable is counted as well."""

    train: int
    test: int
    classes: int


_CIFAR10 = ImageCount(*OFFICIAL_SIZES, classes=10)
_SHAPES = ImageCount(4_000, 1_000, classes=10)
_MOST_HEADER, _MOST_LABELS = 10_000, 64 << 20  # bytes
# What NumPy writes before an array; whatever else stands there is left to `load_data`.
_HEADER = re.compile(rb"\{'descr': '([|<>]\w+)', 'fortran_order': (?:True|False), 'shape': \(([\d, ]+)\), \}\s*")
# Of whole numbers, by NumPy's names for them and by those of memoryviews.
_LETTERS: dict[str, Any] = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}


def count_images(source: str, data_dir: Path | str | None = None) -> ImageCount | None:
    """What `load_data` would read of `source`, None where only reading it can tell.

    Raises DataError, with the words of `load_data` and of `split`, for what names alone show to be wrong.
    """
    report = named_source(source, data_dir)
    if source == "shapes":
        return _SHAPES
    if source == "cifar10" or report.kind in ("archive", "folder"):
        return _CIFAR10
    if report.kind == "image folder":
        return _in_folder(Path(report.location))
    count = {"npz": _in_arrays, "tfds": _in_prepared}.get(report.kind)
    try:
        return count(Path(report.location)) if count else None
    except Exception:  # noqa: BLE001 - whatever a damaged file leads to; `load_data` says what is wrong with it
        return None


def _in_folder(path: Path) -> ImageCount:
    classes = classes_in(path)
    counts = []
    for split in SPLITS:
        listed = files_in(path, split, classes)
        images = Counter(label for _, label in listed.files)
        without_images(path, split, classes, images, listed.notes())
        counts.append(images)
    train, test = counts
    check_rare((printable(name), train[label]) for label, name in enumerate(classes))
    return ImageCount(train.total(), test.total(), len(classes))


def _in_prepared(place: Path) -> ImageCount | None:
    """What TensorFlow Datasets has written beside its records."""
    info, features = (read_json(place / name) for name in ("dataset_info.json", "features.json"))
    images = {split["name"]: sum(map(int, split["shardLengths"])) for split in info["splits"]}
    kinds = features["featuresDict"]["features"].values()
    [classes] = [int(kind["classLabel"]["numClasses"]) for kind in kinds if "classLabel" in kind]
    test = images.get("test", images.get("validation"))
    # With neither, a part of train is held out as test.
    return None if test is None else ImageCount(images["train"], test, classes)


def _in_arrays(path: Path) -> ImageCount | None:
    """By the headers of the arrays, and the labels."""
    with zipfile.ZipFile(path) as file:
        train, test = (_header(file, name)[1] for name in ("x_train", "x_test"))
        kind, _, start = _header(file, "y_train")
        if file.getinfo("y_train.npy").file_size > _MOST_LABELS:
            return None
        labels = memoryview(file.read("y_train.npy"))[start:]
    if kind[0] not in ("|", "<" if sys.byteorder == "little" else ">"):
        return None
    classes = set(labels.cast(_LETTERS[kind[1:]]))
    return ImageCount(train, test, len(classes)) if classes == set(range(len(classes))) else None


def _header(file: zipfile.ZipFile, name: str) -> tuple[str, int, int]:
    """The type of an array, its length, and where its values start: the format of numpy.lib.format.

    `ValueError` where NumPy has not written it so.
    """
    with file.open(f"{name}.npy") as stream:
        start = stream.read(12)
        size, first = (2, 10) if start[6] == 1 else (4, 12)
        end = first + int.from_bytes(start[8 : 8 + size], "little")
        # Never less than nothing, for which `read` takes the whole array.
        text = start[first:end] + stream.read(max(0, min(end, _MOST_HEADER) - 12))
    header = _HEADER.fullmatch(text)
    if header is None:
        raise ValueError(f"{name}: no header of NumPy")
    return header[1].decode(), int(header[2].split(b",")[0]), end
