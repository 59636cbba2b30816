"""Where an export goes: a folder that is replaced whole by a verified one, or left as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resnet_search.errors import ExportError
from resnet_search.export.formats import FORMATS
from resnet_search.files import replacing_folder

SAVED_MODEL = FORMATS["saved_model"].file
CLASSES = "classes.json"
REPORT = "report.md"
MANIFEST = "export.json"
CARD = "README.md"
ENTRIES = frozenset({*(made.file for made in FORMATS.values()), CLASSES, REPORT, MANIFEST, CARD})
_CURE = "Choose another folder with --out, or empty this one."


@contextmanager
def replacing_export(out: Path) -> Iterator[Path]:
    """A folder to fill; when the block ends without an error it becomes `out`, and an earlier export there is gone.

    `ExportError` if `out` holds anything but an earlier export, or cannot be written; then it is left as it is.
    """
    try:
        out = out.resolve()
        check_destination(out)
    except (OSError, ValueError) as error:
        raise unwritable(out, error) from error
    try:
        with replacing_folder(out, again=True) as partial:
            yield partial
    except OSError as error:
        raise unwritable(out, error) from error


def check_destination(out: Path) -> None:
    """`ExportError` unless `out` is absent, an empty folder, or an earlier export and nothing more."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ExportError(f"--out: got {str(out)!r}, which is a file; allowed: a folder", _CURE)
    names = {path.name for path in out.iterdir()}
    if not names:
        return
    if not _is_export(out):
        raise ExportError(f"--out: got {str(out)!r}, which is not empty and no earlier export", _CURE)
    strange = sorted(names - ENTRIES)
    if strange:
        raise ExportError(
            f"--out: got {str(out)!r}, an earlier export that holds {strange[0]!r} besides, which would be lost",
            "Move it elsewhere, or choose another folder with --out.",
        )


def unwritable(out: Path, error: Exception) -> ExportError:
    """The error for a folder that the operating system refuses."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ExportError(
        f"--out: got {str(out)!r}, which cannot be written: {reason}",
        "Choose a folder you can write to, with space left; nothing was changed.",
    )


def folder_bytes(path: Path) -> int:
    """The size of a file, or of all files in a folder, bytes."""
    files = [path, *path.rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def _is_export(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and "trial" in manifest
