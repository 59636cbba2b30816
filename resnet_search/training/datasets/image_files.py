"""The one reader of folders, for training, plans and `predict`: which files are images, and which are left out and why.

Looks at names only. Links are followed, to files and to folders, but each folder is read once, and none from below.
Left out are hidden files, folders with thumbnails of the system, files without the suffix of an image, and what cannot
be opened.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from resnet_search.errors import DataError
from resnet_search.training.datasets.image_data import printable, some

# All of Pillow's suffixes for the formats that `decode` reads.
SUFFIXES = frozenset(
    ".apng .bmp .dib .gif .jfif .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()  # noqa: SIM905
)
SPLITS = ("train", "test")
_OF_SYSTEMS = {"@eaDir", "__MACOSX"}  # with thumbnails or resource forks, named as images
_LAYOUT = "Lay it out as train/<class>/*.png and test/<class>/*.png, with the same classes in both."
# Reasons to leave something out, as in run.json, with their words for one and for more.
SUFFIX, HIDDEN, LINK, AGAIN, TWICE, SPECIAL, CLOSED, LOOSE, DAMAGED = (
    "suffix", "hidden", "broken_link", "read_already", "given_twice", "special", "closed_folder", "outside_classes",
    "unreadable",
)  # fmt: skip
FOLDER = "folder"  # not left out
_WORDS = {
    SUFFIX: ("file without the suffix of an image", "files without the suffix of an image"),
    HIDDEN: ("hidden file or folder", "hidden files or folders"),
    LINK: ("link to nothing", "links to nothing"),
    AGAIN: ("link to a folder above it or read already", "links to folders above them or read already"),
    TWICE: ("file that was given twice", "files that were given twice"),
    SPECIAL: ("pipe, socket or device", "pipes, sockets or devices"),
    CLOSED: ("folder that cannot be read", "folders that cannot be read"),
    LOOSE: ("image outside the class folders", "images outside the class folders"),
    DAMAGED: ("unreadable image", "unreadable images"),
}


@dataclass(slots=True)
class LeftOut:
    """What was left out: for each reason the names, with an explanation or ""."""

    names: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, reason: str, name: str, why: str = "") -> None:
        self.names.setdefault(reason, []).append((name, why))

    def counts(self) -> dict[str, int]:
        """The number for each reason, in a fixed order."""
        return {reason: len(self.names[reason]) for reason in _WORDS if reason in self.names}

    def words(self) -> str:
        """The same as text, with names where the user may want to look; empty if nothing was left out."""
        return ", ".join(self._one(reason, self.names[reason]) for reason in self.counts())

    def _one(self, reason: str, names: list[tuple[str, str]]) -> str:
        text = f"{len(names):,} {_WORDS[reason][len(names) != 1]}"
        if reason == HIDDEN:
            return text
        if reason == SUFFIX:
            kinds = Counter(Path(name).suffix.lower() or "no suffix" for name, _ in names)
            return f"{text} ({some(f'{kind} {count:,}' for kind, count in kinds.most_common())})"
        return f"{text} ({some(f'{name}: {why}' if why else name for name, why in names)})"


def images_below(folder: Path, left_out: LeftOut, *, name: str = "") -> Iterator[Path]:
    """Yield the image files of a folder, sorted by name, and then the files of each folder below it.

    What is not taken is added to `left_out`, under its path below `folder`, after `name`.
    """
    waiting = [(folder, name)]
    # From a folder above, all other classes would be read as this one.
    seen = {(above.st_dev, above.st_ino) for above in _above(folder)}
    while waiting:
        place, called = waiting.pop()
        try:
            status = place.stat()
            if (identity := (status.st_dev, status.st_ino)) in seen:
                left_out.add(AGAIN, called)
                continue
            seen.add(identity)
            entries = sorted(place.iterdir())
        except OSError as error:
            left_out.add(CLOSED, called, str(error.strerror))
            continue
        folders = []
        for path in entries:
            known_as = f"{called}/{path.name}" if called else path.name
            reason = _refused(path)
            if reason == FOLDER:
                folders.append((path, known_as))
            elif reason:
                left_out.add(reason, known_as)
            else:
                yield path
        waiting += reversed(folders)


def _above(folder: Path) -> Iterator[os.stat_result]:
    """The folders above one, by its path and by where its links lead."""
    for parent in {*folder.absolute().parents, *Path(os.path.realpath(folder)).parents}:
        with suppress(OSError):
            yield parent.stat()


def _refused(path: Path) -> str:
    """Why an entry of a folder is not taken as an image, `FOLDER` for a folder; empty for an image file."""
    if path.name.startswith(".") or path.name in _OF_SYSTEMS:
        return HIDDEN
    if is_dir(path):
        return FOLDER
    if path.suffix.lower() not in SUFFIXES:
        return SUFFIX
    if os.path.isfile(path):  # noqa: PTH113 - as in `is_dir`
        return ""
    if os.path.exists(path):  # noqa: PTH110
        return SPECIAL
    return LINK if path.is_symlink() else DAMAGED  # what may not be looked at


def is_dir(path: Path) -> bool:
    """Whether a path is a folder or a link to one; False for what cannot be looked at."""
    return os.path.isdir(path)  # noqa: PTH112 - Path raises an error for what may not be looked at


def same_name(name: str) -> str:
    """Return a name in the Unicode form that names are compared in: file systems and archives store either."""
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of an image folder: their names, and their folders in each split; notes on the layout."""

    names: list[str]
    folders: dict[str, list[list[Path]]]
    loose: dict[str, LeftOut]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """The image files of a split, sorted, with the numbers of their classes; and the files that were left out."""

    split: str
    files: list[tuple[Path, int]]
    left_out: LeftOut

    def notes(self) -> list[str]:
        """What there is to say of the others."""
        words = self.left_out.words()
        return [f"{self.split}: left out {words}"] if words else []


def classes_in(path: Path) -> Classes:
    """The classes: the folders of train, sorted by name, and those of test with the same names.

    Where train or test holds a single folder, and that only folders, the classes are one level further down. Raises
    DataError unless there are two classes or more, and all those of test among them.
    """
    notes: list[str] = []
    loose = {split: LeftOut() for split in SPLITS}
    train_root, train = _class_folders(path, "train", loose["train"], ())
    names = list(train)
    test_root, test = _class_folders(path, "test", loose["test"], frozenset(map(same_name, names)))
    for split, root in (("train", train_root), ("test", test_root)):
        if root != path / split:
            notes.append(f"{split}: the classes are the folders of {printable(root.relative_to(path))}")
    if not names:
        left_out = loose["train"].words()
        raise DataError(
            f"{printable(train_root)}: no class folder in it{f'; left out {left_out}' if left_out else ''}", _LAYOUT
        )
    known = {same_name(name): name for name in names}
    check_learnt((name for name in test if same_name(name) not in known), printable(path))
    check_class_count(len(names), printable(path))
    class_names(names, printable(path))
    of_test = {same_name(name): folders for name, folders in test.items()}
    return Classes(
        names,
        {"train": list(train.values()), "test": [of_test.get(same_name(name), []) for name in names]},
        loose,
        notes,
    )


def class_names(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Return the names of classes as they can be shown; DataError if two are then the same in any Unicode form."""
    shown = tuple(map(printable, names))
    times = Counter(map(same_name, shown))
    if repeated := sorted(name for name, count in times.items() if count > 1):
        raise DataError(
            f"{where}: classes with the same name, as names are shown: {some(repeated)}",
            "Give each class a name of its own.",
        )
    return shown


def check_learnt(alone: Iterable[str], where: str) -> None:
    """Raise DataError for classes that have images in test `alone`."""
    if names := list(alone):
        raise DataError(
            f"{where}: {some(names)} in test alone, which cannot be learnt",
            "Add training images of these classes, or remove their test images.",
        )


def check_class_count(classes: int, where: str) -> None:
    """Raise DataError for a data set of a single class, because every network would be right."""
    if classes < 2:  # noqa: PLR2004
        raise DataError(
            f"{where}: {classes} class; allowed: 2 or more, because on a single one every network is right",
            "Add images of another class; in a folder, each class is a folder in train/ and in test/.",
        )


def _class_folders(
    path: Path, split: str, loose: LeftOut, known: Collection[str]
) -> tuple[Path, dict[str, list[Path]]]:
    """Return the folder of a split's classes, and the class folders by name; all Unicode forms of a name are equal."""
    root = path / split
    if not is_dir(root):
        raise DataError(f"{printable(path)}: no folder {split}/ in it", _LAYOUT)
    found = _entries(root)
    while len(found[FOLDER]) == 1 and not found[""] and same_name(found[FOLDER][0].name) not in known:
        inner = _entries(found[FOLDER][0])
        if inner[""] or not inner[FOLDER]:
            break
        root, found = found[FOLDER][0], inner
    for reason, entries in found.items():
        for entry in entries if reason != FOLDER else ():
            loose.add(reason or LOOSE, str(entry.relative_to(path)))
    names: dict[str, str] = {}
    folders: dict[str, list[Path]] = {}
    for folder in found[FOLDER]:
        folders.setdefault(names.setdefault(same_name(folder.name), folder.name), []).append(folder)
    return root, folders


def _entries(folder: Path) -> dict[str, list[Path]]:
    """What stands directly in a folder, by the reasons of `_refused`, sorted by name."""
    found: dict[str, list[Path]] = {"": [], FOLDER: []}
    try:
        for entry in sorted(folder.iterdir()):
            found.setdefault(_refused(entry), []).append(entry)
    except OSError as error:
        raise DataError(f"{printable(folder)}: cannot be read: {error.strerror}", "Change its permissions.") from error
    return found


def files_in(path: Path, split: str, classes: Classes) -> SplitFiles:
    """The image files of a split, those in folders below a class as well."""
    files: list[tuple[Path, int]] = []
    left_out = classes.loose[split]
    for label, folders in enumerate(classes.folders[split]):
        for folder in folders:
            name = str(folder.relative_to(path))
            files += [(file, label) for file in images_below(folder, left_out, name=name)]
    return SplitFiles(split, files, left_out)


def without_images(path: Path, split: str, classes: list[str], present: Collection[int], notes: Iterable[str]) -> None:
    """Raise DataError for a class that has no image in train, and for a test without any.

    `present`: the places of the classes with images in the split. `notes`: on what was left out, for the message.
    """
    lacking = [name for label, name in enumerate(classes) if label not in present]
    if lacking and (split == "train" or len(lacking) == len(classes)):
        what = f"no readable image in {split}/ for {some(lacking)}"
        raise DataError("\n".join([f"{printable(path)}: {what}", *notes]), _LAYOUT)
