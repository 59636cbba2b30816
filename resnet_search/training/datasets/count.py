"""How many images a data source holds, as far as names and headers tell. No image is read, no TensorFlow imported."""

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
from resnet_search.training.datasets.image_files import SPLITS, check_class_count, classes_in, files_in, without_images
from resnet_search.training.datasets.locate import OFFICIAL_SIZES
from resnet_search.training.datasets.source import named_source
from resnet_search.training.split_sizes import check_rare


@dataclass(frozen=True, slots=True)
class ImageCount:
    """Images of the two splits of a source, and their classes. What proves unreadable is counted as well.

    `notes`: sentences for the user on what was left out.
    """

    train: int
    test: int
    classes: int
    notes: tuple[str, ...] = ()


_CIFAR10 = ImageCount(*OFFICIAL_SIZES, classes=10)
_SHAPES = ImageCount(4_000, 1_000, classes=10)
_MOST_HEADER, _MOST_LABELS = 10_000, 64 << 20  # bytes
# What NumPy writes before an array; whatever else stands there is left to `load_data`.
_HEADER = re.compile(rb"\{'descr': '([|<>]\w+)', 'fortran_order': (?:True|False), 'shape': \(([\d, ]+)\), \}\s*")
# Of whole numbers, by NumPy's names for them and by those of memoryviews.
_LETTERS: dict[str, Any] = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}


def count_images(source: str, data_dir: Path | str | None = None) -> ImageCount | None:
    """What `load_data` would read of `source`, None where only reading it can tell.

    Raises DataError, with the words of `load_data` and of `split`, for what names, sizes and headers show to be wrong:
    the readers check these with the same functions.
    """
    report = named_source(source, data_dir)
    if source == "shapes":
        return _SHAPES
    if source == "cifar10":
        return _CIFAR10
    if report.kind in ("archive", "folder"):
        return _in_batches(Path(report.location))
    if report.kind == "image folder":
        return _in_folder(Path(report.location))
    if report.kind == "npz":
        from resnet_search.training.datasets.npz import check_npz

        check_npz(Path(report.location), _MOST_LABELS)
    count = {"npz": _in_arrays, "tfds": _in_prepared}.get(report.kind)
    try:
        found = count(Path(report.location)) if count else None
    except Exception:  # noqa: BLE001 - whatever a damaged file leads to; `load_data` says what is wrong with it
        return None
    if found is not None:
        check_class_count(found.classes, printable(source))
    return found


def _in_folder(path: Path) -> ImageCount:
    classes = classes_in(path)
    counts, notes = [], [*classes.notes]
    for split in SPLITS:
        listed = files_in(path, split, classes)
        images = Counter(label for _, label in listed.files)
        without_images(path, split, classes.names, images, listed.notes())
        counts.append(images)
        notes += listed.notes()
    train, test = counts
    check_rare((printable(name), train[label]) for label, name in enumerate(classes.names))
    return ImageCount(train.total(), test.total(), len(classes.names), tuple(notes))


def _in_batches(path: Path) -> ImageCount | None:
    from resnet_search.training.datasets.cifar_archives import CLASSES, count_cifar_archive, size_notes

    counts = count_cifar_archive(path)
    return None if counts is None else ImageCount(*counts, classes=len(CLASSES), notes=tuple(size_notes(*counts)))


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
        train, test = (array_header(file, name).shape[0] for name in ("x_train", "x_test"))
        header = array_header(file, "y_train")
        if file.getinfo("y_train.npy").file_size > _MOST_LABELS:
            return None
        labels = memoryview(file.read("y_train.npy"))[header.start :]
    if header.kind[0] not in ("|", "<" if sys.byteorder == "little" else ">"):
        return None
    classes = set(labels.cast(_LETTERS[header.kind[1:]]))
    return ImageCount(train, test, len(classes)) if classes == set(range(len(classes))) else None


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What NumPy writes before an array: the type, the shape, and the offset at which its values start."""

    kind: str
    shape: tuple[int, ...]
    start: int


def array_header(file: zipfile.ZipFile, name: str) -> ArrayHeader:
    """The header of an array in C order, in the format of numpy.lib.format.

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
    return ArrayHeader(header[1].decode(), tuple(int(part) for part in header[2].split(b",") if part.strip()), end)
