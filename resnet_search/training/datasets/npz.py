"""Images and labels from an .npz file with the arrays x_train, y_train, x_test and y_test."""

from __future__ import annotations

import difflib
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_search.errors import DataError
from resnet_search.training.datasets.image_data import ImageData, Images, Labels, printable

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_CURE = (
    "Write it with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...): images uint8 "
    "(N, height, width, 3), labels whole numbers (N,)."
)
_BRIGHTEST = 255
MOST_RATIO = 100  # of unpacked to packed bytes: images are below 20, an archive made to fill the memory at 1,000
_SMALL = 2**26  # bytes that are unpacked in any case


def load_npz(path: Path) -> ImageData:
    """The data set in `path`. Pickled objects in it are refused.

    Images may be grey, (N, H, W) or (N, H, W, 1), and of another number type where what they mean is certain; labels
    may be (N, 1). A further array `classes` names the classes. Raises DataError naming the array and what is wrong.
    """
    where = printable(path)
    arrays = _read(path, where)
    images, note = _to_bytes({name: _with_channels(arrays[name], where, name) for name in ARRAYS[::2]}, where)
    if images["x_train"].shape[1:] != images["x_test"].shape[1:]:
        shapes = " and ".join(f"{name} {images[name].shape}" for name in ARRAYS[::2])
        raise DataError(f"{where}: {shapes} differ in image size", _CURE)
    labels = {name: _to_labels(arrays[name], where, name) for name in ARRAYS[1::2]}
    for x, y in (("x_train", "y_train"), ("x_test", "y_test")):
        if len(images[x]) != len(labels[y]):
            raise DataError(f"{where}: {len(images[x])} images in {x} and {len(labels[y])} labels in {y}", _CURE)
    classes = _classes(labels["y_train"], labels["y_test"], arrays.get("classes"), where)
    return ImageData(
        images["x_train"], labels["y_train"], images["x_test"], labels["y_test"], classes, "npz", note, str(path)
    )


def _read(path: Path, where: str) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as file:
            return _arrays_in(file, where)
    except DataError:
        raise
    except Exception as error:  # whatever a damaged or hostile archive leads zipfile and NumPy to
        raise DataError(f"{where}: cannot be read as an .npz file: {error}", _CURE) from error


def _arrays_in(file: zipfile.ZipFile, where: str) -> dict[str, NDArray[Any]]:
    present = [name.removesuffix(".npy") for name in file.namelist()]
    arrays = {}
    for name in (*ARRAYS, "classes"):
        if name in present:
            _check_size(file, name, where)
            with file.open(f"{name}.npy") as stream:
                arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
        elif name in ARRAYS:
            raise DataError(f"{where}: no array {name}{_instead(name, present)}", _CURE)
    return arrays


def _check_size(file: zipfile.ZipFile, name: str, where: str) -> None:
    """Refuse an array that claims to be larger than its file, before memory is set aside for it."""
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


def _to_bytes(images: dict[str, NDArray[Any]], where: str) -> tuple[dict[str, Images], tuple[str, ...]]:
    """RGB bytes; the scale is judged on train and test together, so that both are converted alike."""
    note: tuple[str, ...] = ()
    if any(array.dtype != np.uint8 for array in images.values()):
        scale = _scale(images, where)
        kinds = " and ".join(sorted({str(array.dtype) for array in images.values()}))
        images = {name: np.rint(array * scale).astype(np.uint8) for name, array in images.items()}
        note = (f"images converted from {kinds} of 0..{_BRIGHTEST // scale} to bytes",)
    return {name: np.ascontiguousarray(np.broadcast_to(a, (*a.shape[:3], 3))) for name, a in images.items()}, note


def _scale(images: dict[str, NDArray[Any]], where: str) -> int:
    allowed = "allowed are uint8, whole numbers of 0 to 255, and fractions of 0 to 1"
    for name, array in images.items():
        if array.dtype.kind not in "uif":
            raise DataError(f"{where}: {name} has the type {array.dtype}; {allowed}", _CURE)
        if not np.isfinite(array).all():
            raise DataError(f"{where}: {name} holds values that are no numbers; {allowed}", _CURE)
    low = min(float(array.min()) for array in images.values())
    high = max(float(array.max()) for array in images.values())
    whole = all(array.dtype.kind in "ui" or bool((array == np.rint(array)).all()) for array in images.values())
    if low < 0 or high > _BRIGHTEST or (high > 1 and not whole):
        raise DataError(f"{where}: the images' values go from {low:g} to {high:g}; {allowed}", _CURE)
    if high <= 1 and whole:
        raise DataError(f"{where}: the images' values are 0 and 1 alone: of 0 to 1, or of 0 to 255? {allowed}", _CURE)
    return 1 if whole else _BRIGHTEST


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
    if names.shape != (count,) or names.dtype.kind != "U" or len(set(names.tolist())) != count:
        raise DataError(f"{where}: classes has the shape {names.shape}; {count} different names are allowed", _CURE)
    return tuple(printable(name) for name in names.tolist())


def _instead(name: str, present: list[str]) -> str:
    nearest = difflib.get_close_matches(name, present, 1)
    listed = ", ".join(printable(found) for found in present[:10]) or "none"
    return f"; it holds {listed}" + (f" (is it {printable(nearest[0])}?)" if nearest else "")
