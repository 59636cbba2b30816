"""Images from a folder: train/<class>/ and test/<class>/."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TypeAlias

import numpy as np

from resnet_search.errors import DataError
from resnet_search.training.datasets.decode import Outside, Unreadable, pixels_of
from resnet_search.training.datasets.image_data import ImageData, Images, Labels, printable, resized
from resnet_search.training.datasets.image_files import (
    DAMAGED,
    SPLITS,
    SplitFiles,
    classes_in,
    files_in,
    without_images,
)
from resnet_search.training.datasets.values import OPTION, Extent, Values, range_of

_EARLIER = Values(0, 0xFFFF, "deep")  # what earlier versions took every image of 16 bits for


@dataclass
class _Part:
    """What one split holds: images, labels and names in step, and what was left out."""

    listed: SplitFiles
    images: list[Images] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def arrays(self) -> tuple[Images, Labels]:
        return np.stack(self.images), np.array(self.labels, np.int64)


def load_image_folder(
    path: Path, image_size: int | None, value_range: tuple[float, float] | None = None, *, certain: bool = True
) -> ImageData:
    """The data set in `path`. Classes are the folders of train, sorted by name; files in folders below count as well.

    Images become RGB (`decode` says how) of `image_size` pixels a side; None requires equal sizes. What is
    left out is counted and named in the notes. `value_range`: the values of black and white in every file; by default
    those of 8 bits, and for files of more bits the range that they use in the whole set. `certain=False` takes that for
    16 bits, as earlier versions did. Raises DataError where a split or a class has no image, and for a range that is
    not certain.
    """
    classes = classes_in(path)
    listed = [files_in(path, split, classes) for split in SPLITS]
    values = None if value_range is None else Values(*value_range, "files")
    read = [list(_each([file for file, _ in one.files], image_size, values)) for one in listed]
    if deep := {one.split: _extents(results) for one, results in zip(listed, read, strict=True) if _extents(results)}:
        values = _values(path, deep, certain=certain)
        read = [_again(one, results, image_size, values) for one, results in zip(listed, read, strict=True)]
    train, test = (_part(path, one, results) for one, results in zip(listed, read, strict=True))
    without_images(path, "train", classes.names, set(train.labels), train.listed.notes())
    without_images(path, "test", classes.names, set(test.labels), test.listed.notes())
    notes = [
        *classes.notes,
        *train.listed.notes(),
        *test.listed.notes(),
        *([f"{_range(values)} are black and white"] if values else []),
    ]
    shapes = {image.shape[:2] for image in train.images + test.images}
    if len(shapes) > 1:
        (height, width), (other_height, other_width) = sorted(shapes)[:2]
        raise DataError(
            f"{printable(path)}: images of {width} x {height} and of {other_width} x {other_height} pixels",
            "Give an image size, such as 32; all images are resized to it.",
        )
    return ImageData(
        *train.arrays(),
        *test.arrays(),
        tuple(printable(name) for name in classes.names),
        "image folder",
        tuple(notes),
        str(path),
        tuple(train.names),
        tuple(test.names),
        values,
        {part.listed.split: part.listed.left_out.counts() for part in (train, test)},
    )


def _range(values: Values) -> str:
    of = "in all images" if values.of == "files" else "in images of more than 8 bits"
    return f"{of}, the values {values.low:g} and {values.high:g}"


# An image, why there is none, or for a file of more than 8 bits the values that it holds.
_Result: TypeAlias = "Images | Unreadable | Extent"


def _each(files: list[Path], size: int | None, values: Values | None) -> Iterator[_Result]:
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # Pillow's about large and odd files; `decode` refuses what is too large
        yield from pool.map(lambda file: _decoded(file, size, values), files)


def _decoded(file: Path, size: int | None, values: Values | None) -> _Result:
    try:
        pixels = pixels_of(file)
        if pixels.deep and values is None:
            return pixels.extent()
        images: Images = resized(pixels.to_bytes(values)[None], size)
    except Unreadable as reason:
        return reason
    image: Images = images[0]
    return image


def _extents(results: list[_Result]) -> list[Extent]:
    return [one for one in results if isinstance(one, Extent)]


def _values(path: Path, deep: dict[str, list[Extent]], *, certain: bool) -> Values:
    """What numbers of more than 8 bits mean, which only all files together show."""
    if not certain:
        return _EARLIER
    extents = {f"{split}/": reduce(or_, extents) for split, extents in deep.items()}
    return Values(*range_of(extents, printable(path)), "deep")


def _again(listed: SplitFiles, results: list[_Result], size: int | None, values: Values) -> list[_Result]:
    """The results with the images of more than 8 bits, read again now that their range is known."""
    waiting = [file for (file, _), one in zip(listed.files, results, strict=True) if isinstance(one, Extent)]
    found = _each(waiting, size, values)
    return [next(found) if isinstance(one, Extent) else one for one in results]


def _part(path: Path, listed: SplitFiles, results: list[_Result]) -> _Part:
    part = _Part(listed)
    for (file, label), result in zip(listed.files, results, strict=True):
        name = str(file.relative_to(path))
        if isinstance(result, Outside):
            raise DataError(
                f"{printable(path)}: {printable(name)} has {result}",
                f"State a range that holds all values: {OPTION} LOW,HIGH.",
            )
        if isinstance(result, np.ndarray):
            part.images.append(result)
            part.labels.append(label)
            part.names.append(name)
        else:
            listed.left_out.add(DAMAGED, name, str(result))
    return part
