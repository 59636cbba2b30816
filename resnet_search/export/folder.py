"""The destination folder of an export: replaced as a whole by a verified one, or left unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from resnet_search.errors import ExportError
from resnet_search.export.formats import FORMATS, Format
from resnet_search.files import interrupted, move, remove, replacing_folder
from resnet_search.runs.exports import MANIFEST, Network, network_in

SAVED_MODEL = FORMATS["saved_model"].file
CLASSES = "classes.json"
REPORT = "report.md"
CARD = "README.md"
ENTRIES = frozenset({*(made.file for made in FORMATS.values()), CLASSES, REPORT, MANIFEST, CARD})
_CURE = "Choose another folder with --out, or empty this one."


@contextmanager
def replacing_export(out: Path, network: Network | None = None) -> Iterator[Path]:
    """Give a folder to fill; when the block ends without an error it becomes `out` and replaces an earlier export.

    `network`: the only one whose earlier export may be replaced; None: any. `ExportError` if `out` holds anything else,
    or cannot be written; then it is left unchanged.
    """
    try:
        out = out.resolve()
        check_destination(out)
        held = held_by(out)
        if held is not None and network not in {None, held}:
            raise ExportError(
                f"--out: got {str(out)!r}, which holds an export of {held}; to export: {network}",
                "Replace it with --replace, or choose another folder with --out.",
            )
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
    if held_by(out) is None:
        raise ExportError(f"--out: got {str(out)!r}, which is neither empty nor an earlier export", _CURE)
    strange = sorted(names - ENTRIES)
    if strange:
        raise ExportError(
            f"--out: got {str(out)!r}, an earlier export that also holds {strange[0]!r}, which would be lost",
            "Move that elsewhere, or choose another folder with --out.",
        )


def held_by(out: Path) -> Network | None:
    """Return the network of an earlier export; None if there is none."""
    try:
        return network_in(out)
    except (OSError, ValueError):
        return None


def replaced(out: Path, network: Network, formats: Iterable[Format]) -> tuple[str, ...]:
    """Return a sentence on what a new export of `network` in these formats removes from `out`, if anything."""
    held = held_by(out)
    if held is None:
        return ()
    if held != network:
        return (f"This replaced an export of {held}.",)
    files = {made.file for made in FORMATS.values() if (out / made.file).exists()} - {made.file for made in formats}
    return (f"This replaced an earlier export, and removed {', '.join(sorted(files))}.",) if files else ()


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
