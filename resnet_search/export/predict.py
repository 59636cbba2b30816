"""Classify image files with an export alone, without a run and without Keras."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from resnet_search.errors import ExportError, RunError, UserError
from resnet_search.export.evaluate import batch_size, running
from resnet_search.export.folder import CLASSES, SAVED_MODEL
from resnet_search.files import expand_home
from resnet_search.reading import read_json
from resnet_search.runs.content import MOST_PIXELS
from resnet_search.runs.exports import BEST, MANIFEST, Network, exports_in, network_from
from resnet_search.runs.folder import find_run
from resnet_search.training.datasets.decode import Unreadable, decode
from resnet_search.training.datasets.image_data import Images, printable, stretched
from resnet_search.training.datasets.image_files import CLOSED, TWICE, LeftOut, images_below, is_dir, same_name
from resnet_search.training.datasets.values import Values

_RGB = 3


@dataclass(frozen=True, slots=True)
class Export:
    """An export: its SavedModel, its network, its classes, and the height and width of its images.

    `values`: what numbers of more than 8 bits, or of all files, mean; None if only the files can tell.
    """

    saved_model: Path
    network: Network
    classes: tuple[str, ...]
    height: int
    width: int
    values: Values | None = None


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
    path = expand_home(given)
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
    folder = run.path / BEST
    if not (folder / MANIFEST).is_file():
        others = ", ".join(str(path) for path in exports_in(run))
        raise RunError(
            f"EXPORT: got {given!r}, a run without an export of its best trial{others and f'; allowed: {others}'}",
            f"resnet-search export {run.word}",
        )
    return folder


def _read(folder: Path) -> Export:
    try:
        manifest, classes = read_json(folder / MANIFEST), read_json(folder / CLASSES)
        _, height, width, colours = manifest["input"]["shape"]
        _, outputs = manifest["output"]["shape"]
        values = manifest["input"].get("values")
        trained = None if values is None else Values(float(values["low"]), float(values["high"]), values["of"])
        network = network_from(manifest)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ExportError(f"{folder}: cannot be read as an export: {error}", "Export the network again.") from error
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise _damaged(folder / CLASSES, f"holds {classes!r:.60}; allowed: a list of names")
    if outputs != len(classes):
        raise _damaged(folder / CLASSES, f"names {len(classes):,} classes; {MANIFEST} has {outputs!r:.20}")
    if colours != _RGB or not all(type(side) is int and 1 <= side <= MOST_PIXELS for side in (height, width)):
        shape = f"{height!r:.20} x {width!r:.20} x {colours!r:.20}"
        raise _damaged(folder / MANIFEST, f"has images of {shape}; allowed: 1 to {MOST_PIXELS} pixels, {_RGB} colours")
    values_of_files = None if trained is None else trained.of_files()
    export = Export(folder / SAVED_MODEL, network, tuple(classes), height, width, values_of_files)
    if not export.saved_model.is_dir():
        raise ExportError(
            f"{folder}: has no {SAVED_MODEL}, which is needed to classify",
            "Export the network again.",
        )
    return export


def _damaged(path: Path, what: str) -> ExportError:
    return ExportError(f"{path}: {what}", "It was changed after the export: export the network again.")


def classify(
    export: Export, given: Sequence[Path], top: int, left_out: LeftOut | None = None
) -> Iterator[Classified | Unread]:
    """Yield the images of files and folders, with all subfolders, sorted, in batches, each once.

    Folders are read, and images decoded and stretched, as for training (docs/data.md). What is not taken from a folder
    is added to `left_out`; a file that is given explicitly is always tried.
    """
    size, classes = batch_size(export.height, export.width), {same_name(name): name for name in export.classes}
    left_out = LeftOut() if left_out is None else left_out
    found = _once((one for path in given for one in _files(path, left_out)), left_out)
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


def _once(files: Iterable[tuple[Path, Path]], left_out: LeftOut) -> Iterator[tuple[Path, Path]]:
    """Yield each file only the first time that it is given. Links to files are files, as in training."""
    seen: set[str] = set()
    for file, root in files:
        identity = os.path.join(os.path.realpath(file.parent), file.name)  # noqa: PTH118 - `..` as a name
        if identity in seen:
            left_out.add(TWICE, str(file))
        else:
            seen.add(identity)
            yield file, root


def _files(path: Path, left_out: LeftOut) -> Iterator[tuple[Path, Path]]:
    """Yield the image files of a path, each with the top folder to look for class names below.

    Folders that cannot be read, or have no image, are yielded as well; decoding reports what is wrong with them.
    """
    if not is_dir(path):
        yield path, path.parent
        return
    empty, closed = True, len(left_out.names.get(CLOSED, ()))
    for file in images_below(path, left_out):
        empty = False
        yield file, path
    unread = [path / name for name, _ in left_out.names.get(CLOSED, ())[closed:]]
    yield from ((folder, path) for folder in unread or [path] * empty)


def _decoded(one: tuple[Path, Path], export: Export) -> Images | Unread:
    file, _ = one
    try:
        if file.is_dir():
            with os.scandir(file):  # Raises the reason if it cannot be read.
                return Unread(file, "no readable image in this folder")
        if not file.is_file():
            return Unread(file, "not a regular file" if os.path.lexists(file) else "does not exist")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about large and odd files; `decode` checks the size
            return stretched(decode(file, export.values)[None], export.height, export.width)
    except (OSError, Unreadable) as reason:
        return Unread(file, printable(reason.strerror if isinstance(reason, OSError) else reason))


def _best(row: Iterable[float], classes: tuple[str, ...], top: int) -> tuple[tuple[str, float], ...]:
    pairs = sorted(zip(classes, map(float, row), strict=True), key=lambda pair: -pair[1])
    return tuple(pairs[:top])


def _truth(file: Path, root: Path, classes: Mapping[str, str]) -> str | None:
    """Return the class of the outermost folder below `root`, else of `root`, that has the name of a class.

    In training, too, the folders below a class belong to it.
    """
    below = file.relative_to(root).parts[:-1]
    names = (same_name(printable(name)) for name in (*below, root.name, root.resolve().name))
    return next((classes[name] for name in names if name in classes), None)
