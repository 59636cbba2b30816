"""Images from a folder: train/<class>/ and test/<class>/."""

from __future__ import annotations

import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from resnet_search.errors import DataError
from resnet_search.training.datasets.decode import Unreadable, decode
from resnet_search.training.datasets.image_data import ImageData, Images, Labels, printable, resized
from resnet_search.training.datasets.image_files import SPLITS, SplitFiles, classes_in, files_in, some, without_images


@dataclass
class _Part:
    """What one split holds: images, labels, names and pixel digests in step, and what was left out."""

    listed: SplitFiles
    images: list[Images] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def arrays(self) -> tuple[Images, Labels]:
        return np.stack(self.images), np.array(self.labels, np.int64)

    def notes(self) -> list[str]:
        left_out = f"{self.listed.split}: {len(self.unreadable)} unreadable left out: {some(self.unreadable)}"
        return [*([left_out] if self.unreadable else []), *self.listed.notes()]


def load_image_folder(path: Path, image_size: int | None) -> ImageData:
    """The data set in `path`. Classes are the folders of train, sorted by name; files in folders below count as well.

    Images become RGB (`decode` says how) of `image_size` pixels a side; None demands that all are of one size. Hidden
    files and files that are no images are ignored, unreadable ones left out and named in the notes, and images that
    stand in train and in test are named there too. Raises DataError where a split or a class has no image.
    """
    classes = classes_in(path)
    train, test = (_read(path, files_in(path, split, classes), image_size) for split in SPLITS)
    without_images(path, "train", classes, set(train.labels), train.notes())
    untested = without_images(path, "test", classes, set(test.labels), test.notes())
    notes = [
        *train.notes(),
        *test.notes(),
        *([f"no image in test/ for {some(untested)}, so never tested"] if untested else []),
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


def _read(path: Path, listed: SplitFiles, size: int | None) -> _Part:
    part = _Part(listed)
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # Pillow's about large and odd files; `decode` refuses what is too large
        decoded = pool.map(lambda pair: _decoded(pair[0], size), listed.files)
        for (file, label), result in zip(listed.files, decoded, strict=True):
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


def _in_both(train: _Part, test: _Part) -> list[str]:
    known = dict(zip(train.digests, train.names, strict=True))
    pairs = [f"{name} = {known[d]}" for d, name in zip(test.digests, test.names, strict=True) if d in known]
    stand = "stands" if len(pairs) == 1 else "stand"
    told = f"{len(pairs)} of the test images {stand} in train as well, pixel for pixel: {some(pairs)}"
    return [told] if pairs else []
