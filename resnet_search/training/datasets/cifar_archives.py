"""The official CIFAR-10 files, pickled or binary, in their tar archive or unpacked. Nothing is written to disk."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from resnet_search.errors import DataError
from resnet_search.training.datasets.image_data import ImageData, Images, Labels, printable
from resnet_search.training.datasets.locate import BINARY, INNER_FOLDERS, OFFICIAL_SIZES, PICKLED
from resnet_search.training.datasets.pickles import read_batch

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# As published: Keras (cifar10.py) and TensorFlow Datasets (url_infos) pin these two.
PUBLISHED_SHA256 = {
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce": "cifar-10-python.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd": "cifar-10-binary.tar.gz",
}

_AGAIN = "Download it again from https://www.cs.toronto.edu/~kriz/cifar.html"
_MOST_FILE = 64 << 20  # bytes; the official batches have 30.7 million
_MOST_ARCHIVE = 1 << 28  # bytes once unpacked; the official archives have 184 million
_ROW = 3073  # bytes of a label and three planes of 32 x 32
_PICKLED_BYTES = 31_035_645  # of an official batch, on average


class _Limited:
    """A stream that ends in an error once more than `limit` bytes came out of it."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size if size >= 0 else self._left + 1)
        self._left -= len(content)
        if self._left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {_MOST_ARCHIVE >> 20} MiB")
        return content


def load_cifar_archive(path: Path) -> ImageData:
    """CIFAR-10 from `path`: an archive, or a folder that holds the six batches or one of the official inner folders.

    Raises DataError for files that are missing, truncated, or hold anything but images and labels.
    """
    files = _from_folder(path) if path.is_dir() else _from_archive(path)
    notes = [] if path.is_dir() else [_checksum_note(path)]
    layout = _layout({name: (len(content), content[-1:]) for name, content in files.items()}, path)
    read = _read_pickled if layout is PICKLED else _read_binary
    batches = [read(files.pop(name), f"{printable(path)}: {name}") for name in layout]
    x_train, y_train = (np.concatenate(part) for part in zip(*batches[:-1], strict=True))
    x_test, y_test = batches[-1]
    notes += size_notes(len(x_train), len(x_test))
    return ImageData(x_train, y_train, x_test, y_test, CLASSES, "cifar10", tuple(notes), str(path))


def size_notes(train: int, test: int) -> list[str]:
    """Note numbers of images that are not those of the official CIFAR-10."""
    official = (train, test) == OFFICIAL_SIZES
    return [] if official else [f"{train:,} + {test:,} images, where the official CIFAR-10 has 50,000 + 10,000"]


def count_cifar_archive(path: Path) -> tuple[int, int] | None:
    """Return the numbers of training and test images by the sizes of the batches; None if only reading can tell.

    Raises the DataErrors of `load_cifar_archive` that names and sizes show. An archive is unpacked to its end for that.
    """
    if path.is_dir():
        ends = {file.name: _end(file) for file in _batches(path)}
    else:
        ends = {name: (len(content), content[-1:]) for name, content in _from_archive(path).items()}
    layout = _layout(ends, path)
    sizes = {name: size for name, (size, _) in ends.items()}
    if layout is PICKLED:
        official = all(abs(sizes[name] - _PICKLED_BYTES) < _PICKLED_BYTES // 1000 for name in layout)
        return OFFICIAL_SIZES if official else None
    *train, test = (sizes[name] // _ROW for name in layout)
    return sum(train), test


def _end(file: Path) -> tuple[int, bytes]:
    """Return the size of a file, and its last byte."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 1))
        return size, stream.read(1)


def _layout(ends: Mapping[str, tuple[int, bytes]], path: Path) -> tuple[str, ...]:
    """Return the names of the batches, from the size and the last byte of each file.

    DataError if a batch is missing, or shown by these to be truncated.
    """
    layout = PICKLED if PICKLED[0] in ends or not any(name in ends for name in BINARY) else BINARY
    missing = [name for name in layout if name not in ends]
    if missing:
        raise DataError(
            f"{printable(path)}: {', '.join(missing)} missing; a CIFAR-10 {'archive' if path.is_file() else 'folder'} "
            f"holds {', '.join(layout)}",
            _AGAIN,
        )
    for name in layout:
        size, last = ends[name]
        if not size or (layout is BINARY and size % _ROW):
            what = f"{size:,} bytes are no whole number of images of {_ROW} bytes"
        elif layout is PICKLED and last != pickle.STOP:
            what = f"truncated after {size:,} bytes: a pickle ends in a stop"
        else:
            continue
        raise DataError(f"{printable(path)}: {name}: {what}", _AGAIN)
    return layout


def _batches(path: Path) -> list[Path]:
    """Return the files of batches in a folder, or in the official folder inside it."""
    for folder in (path, *(path / inner for inner in INNER_FOLDERS)):
        present = [folder / name for name in (*PICKLED, *BINARY) if (folder / name).is_file()]
        for file in present:
            if (size := file.stat().st_size) > _MOST_FILE:
                raise DataError(f"{printable(file)}: {size:,} bytes; a batch has about 31 million", _AGAIN)
        if present:
            return present
    return []


def _from_folder(path: Path) -> dict[str, bytes]:
    try:
        return {file.name: file.read_bytes() for file in _batches(path)}
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be read: {error.strerror}", _AGAIN) from error


def _from_archive(path: Path) -> dict[str, bytes]:
    """The batches in the archive: its regular files of the expected names, at most one folder deep."""
    files: dict[str, bytes] = {}
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = _Limited(gzip.GzipFile(fileobj=raw) if packed else raw, _MOST_ARCHIVE)  # type: ignore[arg-type]
            with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
                for member in archive:
                    name = _expected_name(member.name)
                    if name is None:
                        continue
                    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or name in files:
                        raise tarfile.ReadError(f"{name} is a link, or there twice")
                    if member.size > _MOST_FILE:
                        raise tarfile.ReadError(f"{name} has {member.size:,} bytes; a batch has about 31 million")
                    content = archive.extractfile(member)
                    files[name] = content.read() if content else b""
            while stream.read(1 << 20):  # to the end, where gzip compares its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, OverflowError) as error:
        raise DataError(f"{printable(path)}: cannot be read as a tar archive of CIFAR-10: {error}", _AGAIN) from error
    return files


def _expected_name(member: str) -> str | None:
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts or len(path.parts) > 2:  # noqa: PLR2004
        return None
    return path.name if path.name in PICKLED or path.name in BINARY else None


def _read_pickled(content: bytes, where: str) -> tuple[Images, Labels]:
    rows, labels = read_batch(content, where)
    return _images(rows, np.array([label if 0 <= label < len(CLASSES) else -1 for label in labels], np.int64), where)


def _read_binary(content: bytes, where: str) -> tuple[Images, Labels]:
    rows = np.frombuffer(content, np.uint8).reshape(-1, _ROW)
    return _images(rows[:, 1:], rows[:, 0].astype(np.int64), where)


def _images(rows: Images, labels: Labels, where: str) -> tuple[Images, Labels]:
    if not len(rows) or len(rows) != len(labels):
        raise DataError(f"{where}: {len(rows):,} images and {len(labels):,} labels", _AGAIN)
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        raise DataError(f"{where}: a label is not one of 0 to 9", _AGAIN)
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _checksum_note(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    name = PUBLISHED_SHA256.get(digest)
    if name:
        return f"SHA-256 of {printable(path.name)} is the one published for {name}"
    return f"SHA-256 of {printable(path.name)} is {digest[:16]}..., none of those published for CIFAR-10"
