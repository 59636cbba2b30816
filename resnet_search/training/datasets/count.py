"""How many images a data source holds, as far as names and headers tell. No image is read, no TensorFlow imported."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from resnet_search.training.datasets.image_data import printable
from resnet_search.training.datasets.image_files import SPLITS, check_class_count, classes_in, files_in, without_images
from resnet_search.training.datasets.locate import OFFICIAL_SIZES
from resnet_search.training.datasets.prepared import TEST_SPLITS, check_prepared
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
_MOST_HEADER, MOST_LABELS = 10_000, 64 << 20  # bytes
# What NumPy writes before an array; whatever else stands there is left to `load_data`.
_HEADER = re.compile(rb"\{'descr': '([|<>]\w+)', 'fortran_order': (?:True|False), 'shape': \(([\d, ]+)\), \}\s*")


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
    count = {"npz": _in_arrays, "tfds": _in_prepared}.get(report.kind)
    found = count(Path(report.location)) if count else None
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
    found = check_prepared(place)
    if found is None:
        return None
    test = next((found.images[name] for name in TEST_SPLITS if name in found.images), None)
    # With neither, a part of train is held out as test.
    return None if test is None else ImageCount(found.images["train"], test, found.classes)


def _in_arrays(path: Path) -> ImageCount | None:
    from resnet_search.training.datasets.npz import check_npz

    found = check_npz(path, MOST_LABELS)
    return None if found is None else ImageCount(*found[:2], classes=len(found[2]))


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What NumPy writes before an array: the type, the shape, and the offset of its first value."""

    kind: str
    shape: tuple[int, ...]
    start: int


def array_header(file: zipfile.ZipFile, name: str) -> ArrayHeader:
    """The header of an array in C order, in the format of numpy.lib.format.

    `ValueError` if NumPy writes it differently.
    """
    with file.open(f"{name}.npy") as stream:
        start = stream.read(12)
        size, first = (2, 10) if start[6] == 1 else (4, 12)
        end = first + int.from_bytes(start[8 : 8 + size], "little")
        # Never below zero, because `read` would then return the whole array.
        text = start[first:end] + stream.read(max(0, min(end, _MOST_HEADER) - 12))
    header = _HEADER.fullmatch(text)
    if header is None:
        raise ValueError(f"{name}: no header of NumPy")
    return ArrayHeader(header[1].decode(), tuple(int(part) for part in header[2].split(b",") if part.strip()), end)
