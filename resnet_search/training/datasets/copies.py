"""Count equal images by the bytes of their files, before any is decoded. Nothing slow is imported."""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from resnet_search.errors import DataError
from resnet_search.training.datasets.count import MOST_LABELS, array_header
from resnet_search.training.datasets.duplicates import Duplicates
from resnet_search.training.datasets.image_data import printable, some
from resnet_search.training.datasets.image_files import SPLITS, classes_in, files_in
from resnet_search.training.datasets.source import named_source
from resnet_search.training.split_sizes import all_equal

MOST_BYTES = 256 << 20  # read for a plan; of more, only a run says how many images are equal
_HEAD = 4096  # bytes that are read of files of the same size, before the whole of those that still agree


def count_copies(source: str, data_dir: Path | str | None = None) -> Duplicates | None:
    """Return the numbers of equal images of a folder or an .npz; None for other sources, and for very large ones.

    Equal images in different files, such as a PNG and a BMP, are not counted: a run compares the pixels. Raises the
    DataError of `split` if all training images of a class are equal.
    """
    report = named_source(source, data_dir)
    count = {"npz": _in_arrays, "image folder": _in_folder}.get(report.kind)
    try:
        return count(Path(report.location)) if count else None
    except DataError:
        raise
    except Exception:  # noqa: BLE001 - whatever a damaged file leads to; `load_data` says what is wrong with it
        return None


def _in_folder(path: Path) -> Duplicates | None:
    classes = classes_in(path)
    files = [(split, label, file) for split in SPLITS for file, label in files_in(path, split, classes).files]
    # Empty files are no images, and not compared.
    keys: list[Hashable] = [file.stat().st_size or number for number, (_, _, file) in enumerate(files, -len(files))]
    for digest in (_head, _whole):
        again = [number for number, many in enumerate(_repeated(keys)) if many]
        if digest is _whole and sum(files[number][2].stat().st_size for number in again) > MOST_BYTES:
            return None
        for number in again:
            keys[number] = (keys[number], digest(files[number][2]))
    images = ((split, label, key) for (split, label, _), key in zip(files, keys, strict=True))
    return _counted(images, [printable(name) for name in classes.names])


def _repeated(keys: list[Hashable]) -> Iterator[bool]:
    seen: dict[Hashable, int] = {}
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
    return (seen[key] > 1 for key in keys)


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_HEAD)


def _whole(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, _blake).digest()


def _blake() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _in_arrays(path: Path) -> Duplicates | None:
    from resnet_search.training.datasets.npz import check_npz

    found = check_npz(path, MOST_LABELS)
    if found is None:
        return None
    with zipfile.ZipFile(path) as file:
        if sum(file.getinfo(f"x_{split}.npy").file_size for split in SPLITS) > MOST_BYTES:
            return None
        images = (
            (split, label, key)
            for split in SPLITS
            for label, key in zip(_labels(file, f"y_{split}"), _rows(file, f"x_{split}", _digest), strict=True)
        )
        return _counted(images, found[2])


def _digest(row: bytes) -> bytes:
    return hashlib.blake2b(row, digest_size=16).digest()


def _labels(file: zipfile.ZipFile, name: str) -> Iterator[int]:
    big = array_header(file, name).kind.startswith(">")
    return (int.from_bytes(label, "big" if big else "little") for label in _rows(file, name, bytes))


def _rows(file: zipfile.ZipFile, name: str, read: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Yield each image or label of an array in C order, as `read` makes it from its bytes."""
    header = array_header(file, name)
    size = int(header.kind[2:]) * math.prod(header.shape[1:])
    with file.open(f"{name}.npy") as stream:
        stream.read(header.start)
        for _ in range(header.shape[0]):
            yield read(stream.read(size))


def _counted(images: Iterable[tuple[str, int, Hashable]], classes: Sequence[str]) -> Duplicates:
    """Count equal images, from the split, the label and the content of each; those of train come first."""
    labels: dict[Hashable, list[int]] = {}
    in_train = 0
    for split, label, key in images:
        if split == "train":
            labels.setdefault(key, []).append(label)
        else:
            in_train += key in labels
    different = Counter(label for group in labels.values() for label in set(group))
    if alone := [classes[label] for label in sorted(different) if different[label] == 1]:
        raise all_equal(some(alone))
    several = [group for group in labels.values() if len(group) > 1]
    return Duplicates(sum(map(len, several)), len(several), sum(len(set(group)) > 1 for group in several), in_train)
