"""What a folder of images holds, by the names of its folders and files: train/<class>/ and test/<class>/."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from resnet_search.errors import DataError
from resnet_search.training.datasets.image_data import printable

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
SPLITS = ("train", "test")
_NAMED = 5  # files or classes named in a note; the rest is counted
_LAYOUT = "Lay it out as train/<class>/*.png and test/<class>/*.png, with the same classes in both."


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """The image files of a split with the places of their classes, in order, and how many other files there are."""

    split: str
    files: list[tuple[Path, int]]
    ignored: int

    def notes(self) -> list[str]:
        """What there is to say of the others."""
        if not self.ignored:
            return []
        one, more = "file ignored that is no image by its suffix", "files ignored that are no images by their suffix"
        return [f"{self.split}: {self.ignored} {one if self.ignored == 1 else more}"]


def classes_in(path: Path) -> list[str]:
    """The folders of train, sorted by name; `DataError` unless there are any, and all those of test among them."""
    found = []
    for split in SPLITS:
        folder = path / split
        if not folder.is_dir():
            raise DataError(f"{printable(path)}: no folder {split}/ in it", _LAYOUT)
        try:
            found.append({e.name for e in folder.iterdir() if e.is_dir() and not e.name.startswith(".")})
        except OSError as error:
            raise DataError(f"{printable(folder)}: cannot be read: {error.strerror}", _LAYOUT) from error
    train, test = found
    if not train:
        raise DataError(f"{printable(path / 'train')}: no class folder in it", _LAYOUT)
    if alone := sorted(test - train):
        raise DataError(f"{printable(path)}: {some(alone)} in test/ alone, which cannot be learnt", _LAYOUT)
    return sorted(train)


def files_in(path: Path, split: str, classes: list[str]) -> SplitFiles:
    """The image files of a split, those in folders below a class as well; none that is hidden."""
    files: list[tuple[Path, int]] = []
    ignored = 0
    for label, name in enumerate(classes):
        for parent, folders, entries in os.walk(path / split / name):
            folders[:] = sorted(entry for entry in folders if not entry.startswith("."))
            for entry in sorted(entry for entry in entries if not entry.startswith(".")):
                file = Path(parent, entry)
                if file.suffix.lower() in SUFFIXES and file.is_file():
                    files.append((file, label))
                else:
                    ignored += 1
    return SplitFiles(split, files, ignored)


def without_images(
    path: Path, split: str, classes: list[str], present: Collection[int], notes: Iterable[str]
) -> list[str]:
    """The classes, whose places are not `present`, that have no image in a split.

    Raises DataError, with the notes on what was left out, for a class without one in train and for a test without any.
    """
    lacking = [name for label, name in enumerate(classes) if label not in present]
    if lacking and (split == "train" or len(lacking) == len(classes)):
        what = f"no readable image in {split}/ for {some(lacking)}"
        raise DataError("\n".join([f"{printable(path)}: {what}", *notes]), _LAYOUT)
    return lacking


def some(names: Iterable[str]) -> str:
    """The first of some names, as they can be shown, and how many more there are."""
    listed = [printable(name) for name in names]
    return ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "")
