"""From what the user calls a data set to its images: which loader, and where it would read."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from resnet_search.errors import DataError
from resnet_search.files import expand_home
from resnet_search.training.datasets import locate
from resnet_search.training.datasets.image_data import ImageData, check_image_size, printable, resized, some
from resnet_search.training.datasets.image_files import check_class_count, check_learnt
from resnet_search.training.datasets.network import unreachable
from resnet_search.training.datasets.reading import RULE, Reading
from resnet_search.training.datasets.values import BRIGHTEST, OPTION, check_scales, is_range

NAMES = ("cifar10", "shapes")
CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR10_CURE = (
    "Put cifar-10-python.tar.gz or cifar-10-binary.tar.gz (https://www.cs.toronto.edu/~kriz/cifar.html) into ./data, "
    "or name a copy with --data PATH or --data-dir FOLDER. `--data shapes` needs no download."
)
_ALLOWED = (
    "Allowed are cifar10, shapes, tfds:NAME, or the path of cifar-10-python.tar.gz, cifar-10-binary.tar.gz, one of "
    "their unpacked folders, an .npz file, or a folder with train/<class>/ and test/<class>/."
)


@dataclass(frozen=True, slots=True)
class SourceReport:
    """Where a data set would come from.

    `kind` is "generated", "tfds", "folder", "archive", "npz", "image folder", "download", or "none" where there is
    nothing; `tried` has one line for each place looked at.
    """

    source: str
    kind: str
    location: str
    tried: tuple[str, ...] = ()
    cure: str = ""

    @property
    def found(self) -> bool:
        """Whether it is on this machine."""
        return self.kind not in ("download", "none")


def load_data(
    source: str,
    *,
    data_dir: Path | str | None = None,
    image_size: int | None = 32,
    value_range: tuple[float, float] | None = None,
    rule: int = RULE,
) -> ImageData:
    """The images and labels of `source`, RGB uint8 (N, image_size, image_size, 3); None keeps the images' own size.

    `source` is "cifar10", "shapes", "tfds:NAME" or a path; docs/data.md describes each. `data_dir` says where
    "cifar10" and "tfds:NAME" are kept. `value_range`: the values that are black and white, if they are not certain.
    `rule`: 1 reads and divides as runs of earlier versions did. Raises DataError, with what was tried and what to do.
    """
    check_image_size(image_size)
    check_value_range(source, value_range)
    reading = Reading(image_size=image_size, value_range=value_range, rule=rule)
    data = _load(source, expand_home(data_dir) if data_dir is not None else None, reading)
    trained, tested = (set(labels.tolist()) for labels in (data.y_train, data.y_test))
    if rule > 1:
        check_class_count(min(len(trained), len(data.classes)), printable(source))
        check_learnt((data.classes[label] for label in sorted(tested - trained)), printable(source))
        if value_range is None:
            check_scales(int(data.x_train.max()), int(data.x_test.max()), printable(source))
    return dataclasses.replace(
        data,
        x_train=resized(data.x_train, image_size),
        x_test=resized(data.x_test, image_size),
        source=source,
        notes=(*data.notes, *_lacking(data.classes, trained, tested)),
    )


def _lacking(classes: tuple[str, ...], trained: set[int], tested: set[int]) -> Iterator[str]:
    """Notes on the classes without images. Sets with a fixed list of classes may name some that they do not use."""
    unused = [name for label, name in enumerate(classes) if label not in trained]
    untested = [name for label, name in enumerate(classes) if label in trained - tested]
    if unused:
        yield f"no training image for {some(unused)}"
    if untested:
        yield f"no image in test for {some(untested)}, so never tested"


def _load(source: str, folder: Path | None, reading: Reading) -> ImageData:
    if source == "shapes":
        from resnet_search.training.datasets.shapes import load_shapes

        return load_shapes()
    if source == "cifar10":
        return _load_cifar10(folder, reading)
    if source.startswith("tfds:"):
        from resnet_search.training.datasets.tfds_source import load_tfds

        return load_tfds(source.removeprefix("tfds:"), folder, reading)
    report = check_source(source)
    return _loader(report.kind)(Path(report.location), reading)


def check_value_range(source: str, value_range: tuple[float, float] | None) -> None:
    """Raise DataError for an impossible range, or a range for images that are bytes by definition."""
    if value_range is None:
        return
    if not is_range(value_range):
        raise DataError(f"value_range: {value_range!r}; allowed: two numbers, the lower first", "Give (0, 16), say.")
    are_bytes = source in NAMES or describe_source(source).kind in {"archive", "folder"}
    if are_bytes and tuple(value_range) != (0, BRIGHTEST):
        given = f"{value_range[0]:g},{value_range[1]:g}"
        raise DataError(f"{OPTION}: got {given} with {printable(source)}, whose values are bytes", "Leave it out.")


def describe_source(source: str, data_dir: Path | str | None = None) -> SourceReport:
    """Where `load_data` would take `source` from, and every place looked at. Loads nothing, asks no network."""
    folder = expand_home(data_dir) if data_dir is not None else None
    if source == "shapes":
        return SourceReport(source, "generated", "this package", ("drawn by this package, no files needed",))
    if source == "cifar10":
        copies, tried = locate.find_cifar10(folder)
        if copies:
            return SourceReport(source, copies[0].kind, str(copies[0].path), tuple(tried))
        return SourceReport(source, "download", CIFAR10_URL, tuple(tried), _CIFAR10_CURE)
    if source.startswith("tfds:"):
        name = source.removeprefix("tfds:")
        place, line = locate.prepared(name, folder)
        if place:
            return SourceReport(source, "tfds", str(place), (line,))
        return SourceReport(source, "download", f"TensorFlow Datasets, {printable(name)}", (line,))
    return _describe_path(source)


def check_source(source: str, data_dir: Path | str | None = None) -> SourceReport:
    """The same; `DataError` where there is nothing and CIFAR-10 cannot be downloaded either."""
    report = named_source(source, data_dir)
    if source == "cifar10" and not report.found:
        _check_download(report.tried)
    return report


def named_source(source: str, data_dir: Path | str | None = None) -> SourceReport:
    """The same as `describe_source`; `DataError` where nothing has that name. Asks no network."""
    report = describe_source(source, data_dir)
    if report.kind == "none":
        raise DataError(f"data: {printable(source)!r}: {'; '.join(report.tried)}", report.cure)
    return report


def _check_download(looked: Iterable[str]) -> None:
    if reason := unreachable(CIFAR10_URL):
        tried = "\n".join(f"  - {line}" for line in [*looked, f"{CIFAR10_URL} (download): {reason}"])
        raise DataError(f"cifar10: no copy on this machine, and none can be downloaded. Tried:\n{tried}", _CIFAR10_CURE)


def _load_cifar10(data_dir: Path | None, reading: Reading) -> ImageData:
    copies, tried = locate.find_cifar10(data_dir)
    passed: list[str] = []
    if data_dir and not any(copy.path.is_relative_to(data_dir) for copy in copies):
        passed.append(f"no CIFAR-10 in {printable(data_dir)}, so it was looked for elsewhere")
    for copy in copies:
        try:
            data = _loader(copy.kind)(copy.path, reading)
        except DataError as error:
            if data_dir and copy.path.is_relative_to(data_dir):
                raise
            passed.append(f"passed over a copy that cannot be used: {error.message}")
        else:
            return dataclasses.replace(data, notes=(*passed, *data.notes))
    _check_download([*tried, *passed])
    from resnet_search.training.datasets.tfds_source import download

    data = download("cifar10", data_dir, reading)
    return dataclasses.replace(data, notes=(*passed, *data.notes))


def _describe_path(source: str) -> SourceReport:
    path = expand_home(source)
    if not source:
        kind, wrong = "none", "no name and no path"
    elif locate.is_file(path):
        kind = _kind_of_file(path)
        wrong = f"a file of an unknown kind, {path.suffix or 'without a suffix'}"
    elif locate.is_folder(path):
        kind, path = _kind_of_folder(path)
        wrong = _wrong_folder(path)
    elif reason := _closed(path):
        kind, wrong = "none", reason
    else:
        kind = "none"
        near = difflib.get_close_matches(source, NAMES, 1)
        wrong = f"no such file, folder or data set{f' (is it {near[0]}?)' if near else ''}"
    if kind == "none":
        return SourceReport(source, kind, "", (wrong,), _ALLOWED)
    return SourceReport(source, kind, str(path), (f"{path}: {kind}",))


def _wrong_folder(path: Path) -> str:
    try:
        inner = [entry for entry in sorted(path.iterdir()) if locate.is_folder(entry / "train")]
    except OSError as error:
        return f"a folder that cannot be read: {error.strerror}"
    near = f" (is it {printable(inner[0])}?)" if inner else ""
    return f"a folder with neither train/ and test/ nor CIFAR-10 in it{near}"


def _closed(path: Path) -> str:
    """Why a path may not be looked at; empty if there is nothing."""
    try:
        path.stat()
    except PermissionError as error:
        return f"cannot be read: {error.strerror}"
    except (OSError, ValueError):
        return ""
    return "neither a file nor a folder"


def _kind_of_file(path: Path) -> str:
    if path.suffix.lower() == ".npz":
        return "npz"
    packed = path.name.lower().endswith((".tar.gz", ".tgz", ".tar"))
    return "archive" if packed or path.name in locate.ARCHIVES else "none"


def _kind_of_folder(path: Path) -> tuple[str, Path]:
    if locate.is_folder(path / "train") or locate.is_folder(path / "test"):
        return "image folder", path
    if locate.is_prepared(path):
        return "tfds", path
    copy = locate.cifar10_in(path)
    return (copy.kind, copy.path) if copy else ("none", path)


def _loader(kind: str) -> Callable[[Path, Reading], ImageData]:
    if kind == "npz":
        from resnet_search.training.datasets.npz import load_npz

        return lambda path, reading: load_npz(path, reading.value_range, certain=reading.certain)
    if kind == "image folder":
        from resnet_search.training.datasets.image_folder import load_image_folder

        return lambda path, reading: load_image_folder(
            path, reading.image_size, reading.value_range, certain=reading.certain
        )
    if kind == "tfds":
        from resnet_search.training.datasets.tfds_source import load_prepared

        return load_prepared
    from resnet_search.training.datasets.cifar_archives import load_cifar_archive

    return lambda path, _: load_cifar_archive(path)
