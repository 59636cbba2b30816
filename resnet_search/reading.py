"""Open files from elsewhere: regular files of a plausible size, and no links.

A run's folder may come from anyone. A link in it would have the program read, change or empty a file elsewhere; reading
a pipe or an endless device would not end. Each is an `OSError` that names the file and says what it is.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import IO, Any, Final, cast

# Most bytes of each kind: several times what the largest run writes.
SHORT: Final = 2**16  # a lock
JSON: Final = 2**24  # run.json, export.json and others; as Python objects, up to 30 times as much
LOG: Final = 2**28  # events.jsonl of 200,000 trials
BINARY: Final = 2**34  # checkpoints and models, which libraries read
_SHOWN: Final = 200  # characters of a line in a message
# A pipe without a writer would make `open` wait.
_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def open_plain(path: Path, most: int, mode: str = "rb", buffering: int = -1) -> IO[bytes]:
    """Open a regular file of at most `most` bytes, `mode` and `buffering` as in `open`.

    A file to append to must not have a second name (hard link), because that file would change too.
    """

    def opener(name: str, flags: int) -> int:
        if path.is_symlink():  # Where the system cannot refuse it while opening.
            raise refusal(path, stat.S_IFLNK)
        handle = os.open(name, flags | _FLAGS, 0o666)
        try:
            _check(path, os.fstat(handle), most, appends="a" in mode)
        except OSError:
            os.close(handle)
            raise
        return handle

    return cast("IO[bytes]", open(path, mode, buffering, opener=opener))


def _check(path: Path, status: os.stat_result, most: int, *, appends: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise refusal(path, status.st_mode)
    if appends and status.st_nlink > 1:
        raise OSError(errno.EMLINK, "has a second name (a hard link), which would change with it", str(path))
    if status.st_size > most:
        raise OSError(errno.EFBIG, f"has {status.st_size:,} bytes, more than the {most:,} that are read", str(path))


def check_plain(path: Path, most: int = BINARY) -> None:
    """Raise `OSError` unless a library can be given this file."""
    open_plain(path, most).close()


def check_tree(folder: Path) -> None:
    """Raise `OSError` unless a folder holds nothing but folders and regular files, at any depth."""
    for parent, folders, files in os.walk(folder, onerror=_raise):
        for name in (*folders, *files):
            mode = (path := Path(parent, name)).lstat().st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                raise refusal(path, mode)


def links_in(folder: Path) -> list[Path]:
    """List the entries of a folder that are links."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_symlink())


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes."""
    with open_plain(path, most) as file:
        return file.read(most)


def read_text(path: Path, most: int = JSON, *, errors: str = "strict") -> str:
    """Return a text in UTF-8; `ValueError` if it is not."""
    return read_bytes(path, most).decode(errors=errors)


def read_json(path: Path) -> Any:
    """Return the value of a JSON file; `ValueError` if it is not JSON that this program can have written."""
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error


def last_line(path: Path) -> str:
    """Return the start of the last line of a log that is not blank; empty if there is none."""
    try:
        with open_plain(path, BINARY) as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - SHORT))
            lines = log.read(SHORT).decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:_SHOWN] for line in reversed(lines) if line.strip()), "")


def refusal(path: Path, mode: int) -> OSError:
    """Return the error for something that is not a regular file."""
    if stat.S_ISDIR(mode):
        return IsADirectoryError(errno.EISDIR, "is a folder; a file is expected", str(path))
    number, what = next(
        (found for kind, found in _KINDS.items() if stat.S_IFMT(mode) == kind), (errno.EINVAL, "not a regular file")
    )
    return OSError(number, f"is {what}; a regular file is expected", str(path))


_KINDS: Final = {
    stat.S_IFLNK: (errno.ELOOP, "a link"),
    stat.S_IFIFO: (errno.EINVAL, "a pipe"),
    stat.S_IFSOCK: (errno.EINVAL, "a socket"),
    stat.S_IFCHR: (errno.EINVAL, "a device"),
    stat.S_IFBLK: (errno.EINVAL, "a device"),
}


def _raise(error: OSError) -> None:
    raise error
