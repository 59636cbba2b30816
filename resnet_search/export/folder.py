"""The destination folder of an export: replaced as a whole by a verified one, or left unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from resnet_search.errors import ExportError
from resnet_search.export.formats import FORMATS
from resnet_search.files import interrupted, move, remove, replacing_folder
from resnet_search.reading import read_json

SAVED_MODEL = FORMATS["saved_model"].file
CLASSES = "classes.json"
REPORT = "report.md"
MANIFEST = "export.json"
CARD = "README.md"
ENTRIES = frozenset({*(made.file for made in FORMATS.values()), CLASSES, REPORT, MANIFEST, CARD})
_CURE = "Choose another folder with --out, or empty this one."


@contextmanager
def replacing_export(out: Path) -> Iterator[Path]:
    """Give a folder to fill; when the block ends without an error it becomes `out` and replaces an earlier export.

    `ExportError` if `out` holds anything but an earlier export, or cannot be written; then it is left unchanged.
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


def recover(out: Path) -> tuple[str, ...]:
    """Tidy up what killed exports to `out` have left; return a sentence about each thing that was found.

    An earlier export that had made way for the new one is put back. Exports of living processes are left alone.
    """
    out = out.resolve()
    if not out.parent.is_dir():
        return ()
    notes = []
    for path, kind, process in interrupted(out):
        if psutil.pid_exists(process):
            continue
        if kind == "old" and not out.exists():
            move(path, out)
            notes.append("An export was interrupted while it replaced the one before; that one was put back first.")
        else:
            remove(path)
            notes.append("An export was interrupted; its incomplete files were removed.")
    return tuple(dict.fromkeys(notes))


def check_destination(out: Path) -> None:
    """Raise `ExportError` unless `out` is absent, an empty folder, or exactly an earlier export."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ExportError(f"--out: got {str(out)!r}, which is a file; allowed: a folder", _CURE)
    names = {path.name for path in out.iterdir()}
    if not names:
        return
    if not _is_export(out):
        raise ExportError(f"--out: got {str(out)!r}, which is neither empty nor an earlier export", _CURE)
    strange = sorted(names - ENTRIES)
    if strange:
        raise ExportError(
            f"--out: got {str(out)!r}, an earlier export that also holds {strange[0]!r}, which would be lost",
            "Move that elsewhere, or choose another folder with --out.",
        )


def unwritable(out: Path, error: Exception) -> ExportError:
    """Return the error for a folder that the operating system refuses."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ExportError(
        f"--out: got {str(out)!r}, which cannot be written: {reason}",
        "Choose a writable folder with free space; nothing was changed.",
    )


def folder_bytes(path: Path) -> int:
    """Return the size of a file, or of all files in a folder, in bytes."""
    files = [path, *path.rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def _is_export(folder: Path) -> bool:
    try:
        manifest = read_json(folder / MANIFEST)
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and "trial" in manifest
