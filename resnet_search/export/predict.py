"""Classify image files with an export alone, without a run and without Keras."""

from __future__ import annotations

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
from resnet_search.reading import read_json
from resnet_search.runs.content import MOST_PIXELS
from resnet_search.runs.folder import find_run
from resnet_search.training.datasets.decode import Unreadable, decode
from resnet_search.training.datasets.image_data import Images, printable, stretched
from resnet_search.training.datasets.image_files import SUFFIXES

_RGB = 3


@dataclass(frozen=True, slots=True)
class Export:
    """An export: its SavedModel, its classes, and the height and width of its images."""

    saved_model: Path
    classes: tuple[str, ...]
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Classified:
    """The prediction for an image. `top`: the most probable classes with their probabilities, the best first.

    `truth`: the class whose folder the file is in; None if there is none.
    """

    file: Path
    top: tuple[tuple[str, float], ...]
    truth: str | None


@dataclass(frozen=True, slots=True)
class Unread:
    """A file or folder without a readable image, and the reason."""

    file: Path
    reason: str


def find_export(given: str, runs_dir: Path) -> Export:
    """Find the export at a path (its folder or the saved_model in it), or the default export of a run by its name."""
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
            f"EXPORT: got {given!r}, which has no {MANIFEST} and is not a run: {error.message}",
            "Give a folder that resnet-search export has written, or a run.",
        ) from error
    run.check_links()
    folder = run.path / "export"
    if not (folder / MANIFEST).is_file():
        raise RunError(f"EXPORT: got {given!r}, a run without an export", f"resnet-search export {run.word}")
    return folder


def _read(folder: Path) -> Export:
    try:
        manifest, classes = read_json(folder / MANIFEST), read_json(folder / CLASSES)
        _, height, width, colours = manifest["input"]["shape"]
        _, outputs = manifest["output"]["shape"]
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise ExportError(f"{folder}: cannot be read as an export: {error}", "Export the network again.") from error
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise _damaged(folder / CLASSES, f"holds {classes!r:.60}; allowed: a list of names")
    if outputs != len(classes):
        raise _damaged(folder / CLASSES, f"names {len(classes):,} classes; {MANIFEST} has {outputs!r:.20}")
    if colours != _RGB or not all(type(side) is int and 1 <= side <= MOST_PIXELS for side in (height, width)):
        shape = f"{height!r:.20} x {width!r:.20} x {colours!r:.20}"
        raise _damaged(folder / MANIFEST, f"has images of {shape}; allowed: 1 to {MOST_PIXELS} pixels, {_RGB} colours")
    export = Export(folder / SAVED_MODEL, tuple(classes), height, width)
    if not export.saved_model.is_dir():
        raise ExportError(
            f"{folder}: has no {SAVED_MODEL}, which is needed to classify",
            "Export the network again.",
        )
    return export


def _damaged(path: Path, what: str) -> ExportError:
    return ExportError(f"{path}: {what}", "It was changed after the export: export the network again.")


def classify(export: Export, given: Sequence[Path], top: int) -> Iterator[Classified | Unread]:
    """Yield the images of files and folders, with all subfolders, in batches and in order.

    Images are decoded and stretched as for training (docs/data.md). In folders, hidden files and files without an image
    suffix are skipped; a file that is given explicitly is always tried.
    """
    size, classes = batch_size(export.height, export.width), frozenset(export.classes)
    found = (one for path in given for one in _files(path))
    with running(export.saved_model) as run, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while batch := list(islice(found, size)):
            decoded = list(pool.map(lambda one: _decoded(one, export), batch))
            images = [image for image in decoded if not isinstance(image, Unread)]
            found_rows = run(np.concatenate(images)) if images else np.empty((0, len(export.classes)))
            if found_rows.shape[1] != len(export.classes):
                what = f"names {len(export.classes):,} classes; the network has {found_rows.shape[1]:,}"
                raise _damaged(export.saved_model.parent / CLASSES, what)
            rows = iter(found_rows)
            for (file, root), image in zip(batch, decoded, strict=True):
                if isinstance(image, Unread):
                    yield image
                    continue
                yield Classified(file, _best(next(rows), export.classes, top), _truth(file, root, classes))


def _files(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the image files of a path, each with the top folder to look for class names below."""
    if not os.path.isdir(path):  # noqa: PTH112 - Path raises an error for a name that is too long
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
        # Decoding reports what is wrong.
        yield path, path


def _decoded(one: tuple[Path, Path], export: Export) -> Images | Unread:
    file, _ = one
    try:
        if file.is_dir():
            return Unread(file, "no readable image in this folder")
        if not file.is_file():
            return Unread(file, "not a regular file" if os.path.lexists(file) else "does not exist")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about large and odd files; `decode` checks the size
            return stretched(decode(file)[None], export.height, export.width)
    except (OSError, Unreadable) as reason:
        return Unread(file, printable(reason.strerror if isinstance(reason, OSError) else reason))


def _best(row: Iterable[float], classes: tuple[str, ...], top: int) -> tuple[tuple[str, float], ...]:
    pairs = sorted(zip(classes, map(float, row), strict=True), key=lambda pair: -pair[1])
    return tuple(pairs[:top])


def _truth(file: Path, root: Path, classes: frozenset[str]) -> str | None:
    """Return the nearest folder above a file, up to `root`, that has the name of a class."""
    below = [parent.name for parent in file.relative_to(root).parents if parent.name]
    return next((name for name in map(printable, (*below, root.resolve().name)) if name in classes), None)
