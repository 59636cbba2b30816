"""Images from a folder: train/<class>/ and test/<class>/."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from resnet_search.errors import DataError
from resnet_search.training.datasets.decode import Unreadable, decode
from resnet_search.training.datasets.image_data import ImageData, Images, Labels, printable, resized

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
SPLITS = ("train", "test")
_NAMED = 5  # files or classes named in a note; the rest is counted
_LAYOUT = "Lay it out as train/<class>/*.png and test/<class>/*.png, with the same classes in both."


@dataclass
class _Part:
    """What one split holds: images, labels, names and pixel digests in step, and what was left out."""

    images: list[Images] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    ignored: int = 0

    def arrays(self) -> tuple[Images, Labels]:
        return np.stack(self.images), np.array(self.labels, np.int64)


def load_image_folder(path: Path, image_size: int | None) -> ImageData:
    """The data set in `path`. Classes are the folders of train, sorted by name; files in folders below count as well.

    Images become RGB (`decode` says how) of `image_size` pixels a side; None demands that all are of one size. Hidden
    files and files that are no images are ignored, unreadable ones left out and named in the notes, and images that
    stand in train and in test are named there too. Raises DataError where a split or a class has no image.
    """
    classes = _classes(path)
    train, test = (_read(path, split, classes, image_size) for split in SPLITS)
    notes = [
        *_left_out(train, "train"),
        *_left_out(test, "test"),
        *_without_images(path, train, test, classes),
        *_in_both(train, test),
    ]
    shapes = {image.shape[:2] for image in train.images + test.images}
    if len(shapes) > 1:
        (height, width), (other_height, other_width) = sorted(shapes)[:2]
        raise DataError(
            f"{printable(path)}: images of {width} x {height} and of {other_width} x {other_height} pixels",
            "Give an image size, such as 32, to which all are brought.",
        )
    names = tuple(printable(name) for name in classes)
    return ImageData(*train.arrays(), *test.arrays(), names, "image folder", tuple(notes), str(path))


def _classes(path: Path) -> list[str]:
    found = []
    for split in SPLITS:
        folder = path / split
        if not folder.is_dir():
            raise DataError(f"{printable(path)}: no folder {split}/ in it", _LAYOUT)
        try:
            found.append({e.name for e in folder.iterdir() if e.is_dir() and not e.name.startswith(".")})
        except OSError as error:
            raise DataError(f"{printable(folder)}: cannot be read: {error.strerror}", _LAYOUT) from error
    train, test = found
    if not train:
        raise DataError(f"{printable(path / 'train')}: no class folder in it", _LAYOUT)
    if alone := sorted(test - train):
        raise DataError(f"{printable(path)}: {_some(alone)} in test/ alone, which cannot be learnt", _LAYOUT)
    return sorted(train)


def _read(path: Path, split: str, classes: list[str], size: int | None) -> _Part:
    part = _Part()
    files: list[tuple[Path, int]] = []
    for label, name in enumerate(classes):
        for parent, folders, entries in os.walk(path / split / name):
            folders[:] = sorted(entry for entry in folders if not entry.startswith("."))
            for entry in sorted(entry for entry in entries if not entry.startswith(".")):
                file = Path(parent, entry)
                if file.suffix.lower() in SUFFIXES and file.is_file():
                    files.append((file, label))
                else:
                    part.ignored += 1
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # Pillow's about large and odd files; `decode` refuses what is too large
        decoded = pool.map(lambda pair: _decoded(pair[0], size), files)
        for (file, label), result in zip(files, decoded, strict=True):
            name = printable(file.relative_to(path))
            if isinstance(result, Unreadable):
                part.unreadable.append(f"{name} ({printable(result)})")
                continue
            part.images.append(result[0])
            part.digests.append(result[1])
            part.labels.append(label)
            part.names.append(name)
    return part


def _decoded(file: Path, size: int | None) -> tuple[Images, bytes] | Unreadable:
    try:
        image = decode(file)
    except Unreadable as reason:
        return reason
    digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
    return resized(image[None], size)[0], digest


def _left_out(part: _Part, split: str) -> list[str]:
    notes = []
    if part.unreadable:
        notes.append(f"{split}: {len(part.unreadable)} unreadable left out: {_some(part.unreadable)}")
    if part.ignored:
        notes.append(f"{split}: {part.ignored} files ignored that are no images by their suffix")
    return notes


def _without_images(path: Path, train: _Part, test: _Part, classes: list[str]) -> list[str]:
    lacking = {
        split: [name for label, name in enumerate(classes) if label not in set(part.labels)]
        for split, part in zip(SPLITS, (train, test), strict=True)
    }
    for split, part in zip(SPLITS, (train, test), strict=True):
        if lacking[split] and (split == "train" or len(lacking[split]) == len(classes)):
            what = f"no readable image in {split}/ for {_some(lacking[split])}"
            raise DataError("\n".join([f"{printable(path)}: {what}", *_left_out(part, split)]), _LAYOUT)
    return [f"no image in test/ for {_some(lacking['test'])}, so never tested"] if lacking["test"] else []


def _in_both(train: _Part, test: _Part) -> list[str]:
    known = dict(zip(train.digests, train.names, strict=True))
    pairs = [f"{name} = {known[d]}" for d, name in zip(test.digests, test.names, strict=True) if d in known]
    return [f"{len(pairs)} of the test images stand in train as well, pixel for pixel: {_some(pairs)}"] if pairs else []


def _some(names: Iterable[str]) -> str:
    listed = [printable(name) for name in names]
    return ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "")
