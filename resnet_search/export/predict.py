"""Image files to classes, with an export alone: no run, no Keras."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from resnet_search.errors import ExportError, RunError, UserError
from resnet_search.export.evaluate import batch_size, running
from resnet_search.export.folder import CLASSES, MANIFEST, SAVED_MODEL
from resnet_search.runs.folder import find_run
from resnet_search.training.datasets.decode import Unreadable, decode
from resnet_search.training.datasets.image_data import Images, printable, stretched
from resnet_search.training.datasets.image_files import SUFFIXES

_RGB = 3


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was found: its SavedModel, its classes, and the height and width that its images have."""

    saved_model: Path
    classes: tuple[str, ...]
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Classified:
    """`top`: the most probable classes with their probabilities, the best first.

    `truth`: the class whose folder the file lies in, None if it lies in none.
    """

    file: Path
    top: tuple[tuple[str, float], ...]
    truth: str | None


@dataclass(frozen=True, slots=True)
class Unread:
    """A file or folder that gives no image, and why."""

    file: Path
    reason: str


def find_export(given: str, runs_dir: Path) -> Export:
    """The export at a path, of a folder or of the saved_model in it, or the default export of a run by its name."""
    path = Path(given)
    folder = path.parent if (path / "saved_model.pb").is_file() else path
    if not (folder / MANIFEST).is_file():
        folder = _of_run(given, runs_dir)
    return _read(folder)


def _of_run(given: str, runs_dir: Path) -> Path:
    try:
        run = find_run(given, runs_dir)
    except UserError as error:
        raise RunError(
            f"EXPORT: got {given!r}, which holds no {MANIFEST}, and is no run: {error.message}",
            "Name the folder that resnet-search export has written, or a run.",
        ) from error
    folder = run.path / "export"
    if not (folder / MANIFEST).is_file():
        raise RunError(f"EXPORT: got {given!r}, a run without an export", f"resnet-search export {run.word}")
    return folder


def _read(folder: Path) -> Export:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        classes = json.loads((folder / CLASSES).read_text(encoding="utf-8"))
        _, height, width, colours = manifest["input"]["shape"]
        export = Export(folder / SAVED_MODEL, tuple(map(str, classes)), int(height), int(width))
        usable = colours == _RGB and isinstance(classes, list) and min(export.height, export.width) > 0
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise ExportError(f"{folder}: cannot be read as an export: {error}", "Export the network again.") from error
    if not usable:
        raise ExportError(f"{folder}: its {MANIFEST} and {CLASSES} are damaged", "Export the network again.")
    if not export.saved_model.is_dir():
        raise ExportError(
            f"{folder}: holds no {SAVED_MODEL}, which is what classifies",
            "Export the network again.",
        )
    return export


def classify(export: Export, given: Sequence[Path], top: int) -> Iterator[Classified | Unread]:
    """Each image of files and folders, these with all that is below them, in batches, in order.

    Decoded and stretched as the images of a folder are for training (docs/data.md). Of a folder, hidden files and those
    that are no images by their suffix are passed over; a file that is named itself is tried whatever it is called.
    """
    size, classes = batch_size(export.height, export.width), frozenset(export.classes)
    found = (one for path in given for one in _files(path))
    with running(export.saved_model) as run, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while batch := list(islice(found, size)):
            decoded = list(pool.map(lambda one: _decoded(one, export), batch))
            images = [image for image in decoded if not isinstance(image, Unread)]
            rows = iter(run(np.concatenate(images)) if images else ())
            for (file, root), image in zip(batch, decoded, strict=True):
                if isinstance(image, Unread):
                    yield image
                    continue
                yield Classified(file, _best(next(rows), export.classes, top), _truth(file, root, classes))


def _files(path: Path) -> Iterator[tuple[Path, Path]]:
    """The image files of a path, each with the folder from which on the folders above it count."""
    if not os.path.isdir(path):  # noqa: PTH112 - of a name that is too long Path raises an error
        yield path, path.parent
        return
    empty = True
    for parent, folders, entries in os.walk(path):
        folders[:] = sorted(entry for entry in folders if not entry.startswith("."))
        for entry in sorted(entries):
            file = Path(parent, entry)
            if not entry.startswith(".") and file.suffix.lower() in SUFFIXES and file.is_file():
                empty = False
                yield file, path
    if empty:
        # Told as what it is when it is decoded.
        yield path, path


def _decoded(one: tuple[Path, Path], export: Export) -> Images | Unread:
    file, _ = one
    try:
        if file.is_dir():
            return Unread(file, "no image in this folder that can be read")
        if not file.is_file():
            return Unread(file, "is no file" if os.path.lexists(file) else "is not there")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's about large and odd files; `decode` refuses what is too large
            return stretched(decode(file)[None], export.height, export.width)
    except (OSError, Unreadable) as reason:
        return Unread(file, printable(reason.strerror if isinstance(reason, OSError) else reason))


def _best(row: Iterable[float], classes: tuple[str, ...], top: int) -> tuple[tuple[str, float], ...]:
    pairs = sorted(zip(classes, map(float, row), strict=True), key=lambda pair: -pair[1])
    return tuple(pairs[:top])


def _truth(file: Path, root: Path, classes: frozenset[str]) -> str | None:
    """The nearest folder above a file, up to `root`, that is called like a class."""
    below = [parent.name for parent in file.relative_to(root).parents if parent.name]
    return next((name for name in map(printable, (*below, root.resolve().name)) if name in classes), None)
