"""Images and labels from an .npz file with the arrays x_train, y_train, x_test and y_test."""

from __future__ import annotations

import difflib
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_search.errors import DataError
from resnet_search.training.datasets.image_data import ImageData, Images, Labels, printable
from resnet_search.training.datasets.image_files import class_names
from resnet_search.training.datasets.values import BRIGHTEST, Extent, Values, check_within, range_of
from resnet_search.training.split_sizes import check_rare

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_CURE = (
    "Write it with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...): images uint8 "
    "(N, height, width, 3), labels whole numbers (N,)."
)
MOST_RATIO = 100  # of unpacked to packed bytes: images are below 20, an archive made to fill the memory at 1,000
_SMALL = 2**26  # bytes that are unpacked in any case


def load_npz(path: Path, value_range: tuple[float, float] | None = None, *, certain: bool = True) -> ImageData:
    """The data set in `path`. Pickled objects in it are refused.

    Images may be grey, (N, H, W) or (N, H, W, 1), and of other numbers than bytes if `value_range`, the values that are
    black and white, is given or certain; `certain=False` takes bytes and whole numbers up to 255 as they are, as
    earlier versions did. Labels may be (N, 1). A further array `classes` names the classes. Raises DataError naming
    the array and what is wrong.
    """
    where = printable(path)
    arrays = _read(path, where)
    raw = {name: _with_channels(arrays[name], where, name) for name in ARRAYS[::2]}
    values = _values(raw, where, value_range, certain=certain)
    images = {name: _to_bytes(array, values) for name, array in raw.items()}
    labels = {name: _to_labels(arrays[name], where, name) for name in ARRAYS[1::2]}
    classes = _classes(labels["y_train"], labels["y_test"], arrays.get("classes"), where)
    return ImageData(
        images["x_train"],
        labels["y_train"],
        images["x_test"],
        labels["y_test"],
        classes,
        "npz",
        _note(raw, values),
        str(path),
        values=values,
    )


def check_npz(path: Path, most_labels: int) -> tuple[int, int, tuple[str, ...]] | None:
    """Return the numbers of training and test images, and the names of the classes. No images are read.

    Raises the DataErrors of `load_npz` that headers and labels show. `most_labels`: bytes; None if there are more.
    """
    where = printable(path)
    with _opened(path, where) as file:
        arrays = _headers(file, where)
        if sum(arrays[name].nbytes for name in ARRAYS[1::2]) > most_labels:
            return None
        train, test = (_to_labels(_array(file, name), where, name) for name in ARRAYS[1::2])
        names = _array(file, "classes") if "classes" in arrays else None
        classes = _classes(train, test, names, where)
    check_rare(zip(classes, np.bincount(train).tolist(), strict=True))
    return len(train), len(test), classes


def _read(path: Path, where: str) -> dict[str, NDArray[Any]]:
    with _opened(path, where) as file:
        return {name: _array(file, name) for name in _headers(file, where)}


@contextmanager
def _opened(path: Path, where: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as file:
            yield file
    except DataError:
        raise
    except Exception as error:  # whatever a damaged or hostile archive leads zipfile and NumPy to
        raise DataError(f"{where}: cannot be read as an .npz file: {error}", _CURE) from error


def _headers(file: zipfile.ZipFile, where: str) -> dict[str, NDArray[Any]]:
    """Return arrays of zeros, which take no memory, of the shapes and types in the headers, after checking them."""
    present = [name.removesuffix(".npy") for name in file.namelist()]
    for name in ARRAYS:
        if name not in present:
            raise DataError(f"{where}: no array {name}{_instead(name, present)}", _CURE)
    arrays = {name: _header(file, name, where) for name in (*ARRAYS, "classes") if name in present}
    images = {name: _with_channels(arrays[name], where, name) for name in ARRAYS[::2]}
    for name, array in images.items():
        if array.dtype.kind not in "uif":
            raise DataError(f"{where}: {name} has the type {array.dtype}; allowed are numbers", _CURE)
    if images["x_train"].shape[1:] != images["x_test"].shape[1:]:
        shapes = " and ".join(f"{name} {images[name].shape}" for name in ARRAYS[::2])
        raise DataError(f"{where}: {shapes} differ in image size", _CURE)
    for x, y in (("x_train", "y_train"), ("x_test", "y_test")):
        labels = _to_labels(arrays[y], where, y)
        if len(images[x]) != len(labels):
            raise DataError(f"{where}: {len(images[x])} images in {x} and {len(labels)} labels in {y}", _CURE)
    return arrays


def _array(file: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with file.open(f"{name}.npy") as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _header(file: zipfile.ZipFile, name: str, where: str) -> NDArray[Any]:
    """Return an array of zeros like the array in the file; refuse an array that claims to be larger than its file.

    One that would fill the memory when it is unpacked is refused as well.
    """
    packed = file.getinfo(f"{name}.npy")
    if packed.file_size > MOST_RATIO * packed.compress_size + _SMALL:
        raise DataError(
            f"{where}: {name} would unpack from {packed.compress_size:,} to {packed.file_size:,} bytes; allowed: up to "
            f"{MOST_RATIO} times as many",
            _CURE,
        )
    with file.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
        present = file.getinfo(f"{name}.npy").file_size - stream.tell()
    if dtype.hasobject:
        raise DataError(f"{where}: {name} holds Python objects, which are not read", _CURE)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != present:
        raise DataError(f"{where}: {name} of shape {shape} takes {claimed:,} bytes, {present:,} are there", _CURE)
    return np.broadcast_to(np.zeros((), dtype), shape)


def _with_channels(images: NDArray[Any], where: str, name: str) -> NDArray[Any]:
    grey, coloured = 3, 4
    if images.ndim == grey:
        images = images[..., None]
    if images.ndim != coloured or images.shape[3] not in (1, 3) or 0 in images.shape:
        hint = "; channels come last" if images.ndim == coloured and images.shape[1] in (1, 3) else ""
        raise DataError(
            f"{where}: {name} has the shape {images.shape}; allowed are (N, H, W, 3), (N, H, W, 1) and (N, H, W)"
            f" with N, H and W of 1 or more{hint}",
            _CURE,
        )
    return images


def _values(
    images: dict[str, NDArray[Any]], where: str, given: tuple[float, float] | None, *, certain: bool
) -> Values | None:
    """What the numbers mean; None for bytes as they are. Judged for each array, so that all have one scale."""
    for name, array in images.items():
        if not np.isfinite(array).all():
            raise DataError(f"{where}: {name} holds values that are no numbers", _CURE)
    extents = {name: Extent.of(array) for name, array in images.items()}
    if given is not None:
        values = Values(*given, "arrays")
        check_within(extents, values, where)
        return values
    are_bytes = all(array.dtype == np.uint8 for array in images.values())
    if not certain and all(one.whole and one.low >= 0 and one.high <= BRIGHTEST for one in extents.values()):
        low, high = 0.0, float(BRIGHTEST)
    else:
        low, high = range_of(extents, where)
    return None if are_bytes else Values(low, high, "arrays")


def _to_bytes(images: NDArray[Any], values: Values | None) -> Images:
    read = images if values is None else values.to_bytes(images)
    return np.ascontiguousarray(np.broadcast_to(read, (*read.shape[:3], 3)))


def _note(images: dict[str, NDArray[Any]], values: Values | None) -> tuple[str, ...]:
    if values is None:
        return ()
    kinds = " and ".join(sorted({str(array.dtype) for array in images.values()}))
    return (f"images converted from {kinds} of {values.low:g}..{values.high:g} to bytes",)


def _to_labels(labels: NDArray[Any], where: str, name: str) -> Labels:
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels  # noqa: PLR2004
    if flat.ndim != 1 or flat.dtype.kind not in "ui":
        raise DataError(
            f"{where}: {name} has the shape {labels.shape} and the type {labels.dtype}; allowed is one whole number an "
            "image, (N,) or (N, 1)",
            _CURE,
        )
    if len(flat) and (int(flat.min()) < 0 or int(flat.max()) > np.iinfo(np.int32).max):
        raise DataError(f"{where}: {name} goes from {flat.min()} to {flat.max()}; labels count from 0", _CURE)
    return flat.astype(np.int64)


def _classes(train: Labels, test: Labels, names: NDArray[Any] | None, where: str) -> tuple[str, ...]:
    present = np.unique(train)
    count = len(present)
    if int(present[-1]) != count - 1:
        absent = int(np.flatnonzero(present != np.arange(count))[0])
        raise DataError(f"{where}: label {absent} has no image in y_train, which goes to {present[-1]}", _CURE)
    if int(test.max()) >= count:
        raise DataError(f"{where}: label {test.max()} of y_test has no image in y_train", _CURE)
    if names is None:
        return tuple(str(label) for label in range(count))
    if names.shape != (count,) or names.dtype.kind != "U":
        raise DataError(
            f"{where}: classes has the shape {names.shape} and the type {names.dtype}; allowed are {count} names as "
            f"text, ({count},)",
            _CURE,
        )
    return class_names(names.tolist(), where)


def _instead(name: str, present: list[str]) -> str:
    nearest = difflib.get_close_matches(name, present, 1)
    listed = ", ".join(printable(found) for found in present[:10]) or "none"
    return f"; it holds {listed}" + (f" (is it {printable(nearest[0])}?)" if nearest else "")
