"""The arrays of one search on disk: written once, and mapped read-only by every training process.

A folder holds `x_train.npy`, `x_validation.npy` (uint8, (images, height, width, 3)), `y_train.npy`,
`y_validation.npy` (int64, (images,)) and `meta.json`, which has the SHA-256 of each of these files and of its own
values. There are no test images, so a search cannot read them.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_search.files import remove, replacing_folder, write_bytes, write_json
from resnet_search.reading import check_plain, read_json

_META = "meta.json"
_LARGEST = 2**44  # bytes of an array, which is mapped
_ARRAYS = ("x_train", "y_train", "x_validation", "y_validation")


@dataclass(frozen=True, eq=False)
class Arrays:
    """Training and validation images with their labels; `mean` and `std`: per channel of the training images."""

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_validation: NDArray[np.uint8]
    y_validation: NDArray[np.int64]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return height, width and channels."""
        _, height, width, channels = self.x_train.shape
        return height, width, channels


def channel_statistics(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, in grey levels 0 to 255.

    The deviation is at least 1, so that a constant channel does not divide by zero.
    """
    pixels = images.shape[0] * images.shape[1] * images.shape[2]
    # A histogram is exact and needs no float copy of the images.
    levels = np.arange(256, dtype=np.float64)
    means, deviations = [], []
    for channel in range(images.shape[3]):
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        mean = float(counts @ levels) / pixels
        means.append(mean)
        deviations.append(max(1.0, float(np.sqrt(counts @ (levels - mean) ** 2 / pixels))))
    return tuple(means), tuple(deviations)


def write_arrays(folder: Path, arrays: Arrays) -> None:
    """Write the folder, unless it has exactly these arrays already."""
    files = {f"{name}.npy": _npy(getattr(arrays, name)) for name in _ARRAYS}
    digests = {name: _digest(parts) for name, parts in files.items()} | {_META: _meta_digest(arrays)}
    if intact(folder, digests):
        return
    remove(folder)
    try:
        with replacing_folder(folder) as partial:
            for name, parts in files.items():
                write_bytes(partial / name, *parts)
            meta = {"classes": arrays.classes, "mean": arrays.mean, "std": arrays.std, "sha256": digests}
            write_json(partial / _META, meta)
    except OSError:
        # Another process may have been faster.
        if not intact(folder, digests):
            raise
    _checked.add(_identity(folder))


def whole(folder: Path) -> bool:
    """Return whether a folder has everything that `read_arrays` needs, by the sizes of its files."""
    try:
        arrays = _read(folder)
        counts = [len(getattr(arrays, name)) for name in _ARRAYS]
    except Exception:  # noqa: BLE001 - NumPy reads a header as Python, and a damaged one fails in any way
        return False
    return counts[0] == counts[1] and counts[2] == counts[3]


def intact(folder: Path, digests: Mapping[str, str] | None = None) -> bool:
    """Return whether a folder is whole and its files have the recorded digests, which must be `digests` if given.

    The files of a folder are read once in a process. Folders of earlier versions record no digests and count as intact,
    except where `digests` are given.
    """
    if not whole(folder):
        return False
    recorded = json.loads((folder / _META).read_text(encoding="utf-8")).get("sha256")
    if digests is not None and recorded != digests:
        return False
    if recorded is None or _identity(folder) in _checked:
        return True
    found = {f"{name}.npy": _file_digest(folder / f"{name}.npy") for name in _ARRAYS} | {
        _META: _meta_digest(_read(folder))
    }
    if recorded != found:
        return False
    _checked.add(_identity(folder))
    return True


# Folders whose files have been compared with their digests in this process.
_checked: set[tuple[str, int]] = set()


def _identity(folder: Path) -> tuple[str, int]:
    """A folder's path, and its inode, which changes when the folder is written again."""
    return str(folder.absolute()), folder.stat().st_ino


def _digest(parts: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _meta_digest(arrays: Arrays) -> str:
    return _digest([json.dumps([arrays.classes, arrays.mean, arrays.std]).encode()])


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def read_arrays(folder: Path) -> Arrays:
    """Map the arrays of a folder into memory, read-only; the same folder gives the same object."""
    return _read(folder)


def _read(folder: Path) -> Arrays:
    meta: dict[str, Any] = read_json(folder / _META)
    for name in _ARRAYS:
        check_plain(folder / f"{name}.npy", _LARGEST)
    images = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
    return Arrays(**images, classes=tuple(meta["classes"]), mean=tuple(meta["mean"]), std=tuple(meta["std"]))


def _npy(array: NDArray[Any]) -> tuple[bytes, memoryview]:
    """Return the header and the values of a .npy file; NumPy's own `save` does not report a full disk."""
    header = io.BytesIO()
    array = np.ascontiguousarray(array)
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue(), array.data.cast("B")
