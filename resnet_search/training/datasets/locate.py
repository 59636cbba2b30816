"""Where copies of a data set usually lie: the folders of TensorFlow Datasets, Keras and torchvision.

Only looks at names; loads nothing, and imports neither TensorFlow nor NumPy nor anything else that is slow.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_search.errors import DataError
from resnet_search.keras_settings import keras_folder
from resnet_search.training.datasets.image_data import printable

PICKLED = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")  # of CIFAR-10
BINARY = tuple(f"{name}.bin" for name in PICKLED)
INNER_FOLDERS = ("cifar-10-batches-py", "cifar-10-batches-bin")
OFFICIAL_SIZES = (50_000, 10_000)
ARCHIVES = (
    "cifar-10-python.tar.gz",  # as published; torchvision keeps the name
    "cifar-10-binary.tar.gz",
    "cifar-10-batches-py.tar.gz",  # Keras 2
    "cifar-10-batches-py-target_archive",  # Keras 3
    "cifar-10-batches-py-target.tar.gz",
)
_KERAS_3_FOLDER = "cifar-10-batches-py-target"
_TFDS_NAME = re.compile(r"(?P<set>\w+)(/(?P<config>[\w.+-]+))?(:(?P<version>\d+\.\d+\.\d+))?", re.ASCII)
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Copy:
    """A data set on disk: `kind` is "tfds" (a prepared version's folder), "folder" or "archive"."""

    kind: str
    path: Path


def tfds_folder(data_dir: Path | None) -> Path:
    """Return the folder where TensorFlow Datasets keeps its data sets."""
    return data_dir or Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def tfds_prepared(folder: Path) -> Path | None:
    """The newest prepared version in `folder`, which is named after a TFDS data set, or after one of its configs."""
    versions = [entry for entry in _entries(folder) if _VERSION.fullmatch(entry.name)]
    versions.sort(key=lambda entry: tuple(int(part) for part in entry.name.split(".")), reverse=True)
    return next((version for version in versions if is_prepared(version)), None)


def is_prepared(folder: Path) -> bool:
    """Whether `folder` is a version of a data set that TFDS has finished writing."""
    return is_file(folder / "dataset_info.json") and is_file(folder / "features.json")


def tfds_configs(folder: Path) -> list[str]:
    """The configurations of a TFDS data set that are prepared in `folder`, which is named after the data set."""
    return sorted(entry.name for entry in _entries(folder) if tfds_prepared(entry))


def prepared(name: str, data_dir: Path | None) -> tuple[Path | None, str]:
    """The folder of the TFDS set `name` that is ready to be read, or None, and a line saying where was looked.

    `name` is "set", "set/config" or "set:1.0.0"; raises DataError for one that TFDS cannot have.
    """
    parts = tfds_parts(name)
    bases = list(dict.fromkeys([*([data_dir] if data_dir else []), tfds_folder(None)]))
    for base in bases:
        folder = base / parts["set"] / (parts["config"] or "")
        configs = [] if parts["config"] else tfds_configs(folder)
        if len(configs) > 1 and not tfds_prepared(folder):
            choices = ", ".join(f"tfds:{parts['set']}/{printable(config)}" for config in configs)
            raise DataError(f"tfds:{name}: prepared in several configurations", f"Choose one of {choices}.")
        if configs and not tfds_prepared(folder):
            folder /= configs[0]
        if not parts["version"]:
            place = tfds_prepared(folder)
        else:
            place = folder / parts["version"] if is_prepared(folder / parts["version"]) else None
        if place:
            return place, f"{place}: prepared by TensorFlow Datasets"
    return None, f"{' and '.join(printable(base / parts['set']) for base in bases)}: not prepared"


def tfds_parts(name: str) -> dict[str, Any]:
    """`set`, `config` and `version` in the name of a TFDS set, None for what is missing; `DataError` if malformed."""
    match = _TFDS_NAME.fullmatch(name)
    if not match:
        raise DataError(
            f"tfds:{printable(name)}: not the name of a TFDS set",
            "Allowed are tfds:SET, tfds:SET/CONFIG and tfds:SET:1.2.3, such as tfds:mnist.",
        )
    return match.groupdict()


def unpacked(folder: Path) -> bool:
    """Whether `folder` holds CIFAR-10's batches itself."""
    return is_file(folder / PICKLED[0]) or is_file(folder / BINARY[0])


def cifar10_in(folder: Path) -> Copy | None:
    """Find a copy of CIFAR-10 in `folder`, in any format; formats that need no TensorFlow come first."""
    for candidate in (folder, *(folder / name for name in INNER_FOLDERS), folder / _KERAS_3_FOLDER / INNER_FOLDERS[0]):
        if unpacked(candidate):
            return Copy("folder", candidate)
    for name in ARCHIVES:
        if is_file(folder / name):
            return Copy("archive", folder / name)
    prepared = tfds_prepared(folder / "cifar10")
    return Copy("tfds", prepared) if prepared else None


def find_cifar10(data_dir: Path | None) -> tuple[list[Copy], list[str]]:
    """The copies of CIFAR-10 on this machine, the preferred one first, and a line for each place looked at.

    TensorFlow Datasets comes first, as the source's definition; then `data_dir` in any form, then the caches.
    """
    copies: list[Copy] = []
    tried: list[str] = []
    for base in dict.fromkeys([*([data_dir] if data_dir else []), tfds_folder(None)]):
        prepared = tfds_prepared(base / "cifar10") or tfds_prepared(base)
        copies += [Copy("tfds", prepared)] if prepared else []
        tried.append(f"{base / 'cifar10'} (TensorFlow Datasets): {'found' if prepared else 'absent'}")
    for base, what in _usual_folders(data_dir):
        copy = Copy("archive", base) if is_file(base) else cifar10_in(base)
        if copy and copy not in copies:
            copies.append(copy)
        tried.append(f"{base} ({what}): {f'found {copy.path.name}' if copy else 'absent'}")
    return copies, tried


def is_file(path: Path) -> bool:
    """Whether `path` is a file that can be looked at; what may not be looked at counts as absent."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder that can be looked at."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _usual_folders(data_dir: Path | None) -> list[tuple[Path, str]]:
    places = [(data_dir, "--data-dir: archive or unpacked folder")] if data_dir else []
    places.append((keras_folder() / "datasets", "Keras"))
    usual = ("data", "datasets", ".", "~/data", "~/datasets", "~/.cache/torch/datasets", "~/Downloads")
    return [*places, *((Path(folder).expanduser().absolute(), "as torchvision and downloads lie") for folder in usual)]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return []
