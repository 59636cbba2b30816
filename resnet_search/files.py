"""Files that survive a crash: a file is replaced as a whole or not at all, and a log loses at most its last line.

Every change that resnet-search makes to a disk is one of the steps at the end of this module: `_write`, `_sync`,
`_move`, `_remove`, `_make_folder`. Tests make each step fail, and kill the process before, during and after it.
Libraries write to the path that `replacing` gives.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

from resnet_search.lines import check_line, decode_line, encode_line
from resnet_search.reading import BINARY, LOG, open_plain, read_bytes

_TOLD = 100  # characters of a damaged line in a message
# Leftovers of interrupted writes and exports. The name contains the process id.
_LEFTOVER = re.compile(r"\.(partial|old)-(\d{1,9})-(.+)")


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a path to write to; when the block ends without an error, that file replaces `path` atomically.

    By default the file survives a crash of the machine; files that can be derived from others skip that, which is
    faster.
    An `OSError` names `path`.
    """
    # The suffix stays at the end: Keras chooses the format of weights by it.
    partial = _partial(path)
    with naming(path):
        try:
            partial.unlink(missing_ok=True)  # It may be a link.
            yield partial
            if durable:
                with partial.open("rb") as written:
                    _sync(written)
            _move(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        if durable:
            _sync_folder(path.parent)


@contextmanager
def replacing_folder(path: Path, *, again: bool = False) -> Iterator[Path]:
    """Give a folder to fill; when the block ends without an error it becomes `path`, which must be absent or empty.

    `again`: an existing folder is replaced, and removed afterwards.
    """
    partial = _partial(path)
    with naming(path):
        try:
            shutil.rmtree(partial, ignore_errors=True)
            make_folder(partial)
            yield partial
            _sync_folder(partial)
            if again and path.exists():
                _swap(partial, path)
            else:
                _move(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        _sync_folder(path.parent)


def write_bytes(path: Path, *parts: bytes | memoryview, durable: bool = True) -> None:
    """Replace a file by `parts`, one after the other."""
    with replacing(path, durable=durable) as partial, partial.open("wb") as file:
        for part in parts:
            _write(file, part)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace a text file."""
    write_bytes(path, text.encode(), durable=durable)


def write_json(path: Path, value: Any, *, durable: bool = True, indent: int | None = 1) -> None:
    """Replace a JSON file. Without `indent` it is one line and five times as fast."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n", durable=durable)


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Append one line, which is on disk when this returns. A line torn by a crash is cut off first."""
    line = encode_line(value)
    with naming(path):
        new = not path.exists()
        with open_plain(path, LOG, "ab+") as log:
            _cut_torn_line(log)
            _write(log, line)
            _sync(log)
        if new:
            _sync_folder(path.parent)


def append_bytes(path: Path, data: bytes) -> None:
    """Append to a file that can be derived from others, without waiting for the disk."""
    with naming(path), open_plain(path, BINARY, "ab") as file:
        _write(file, data)


def write_lines(path: Path, values: Iterable[dict[str, Any]]) -> None:
    """Replace a log."""
    write_bytes(path, *map(encode_line, values))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a log; none if there is no file. A torn last line is left out.

    `ValueError` names the first damaged line.
    """
    lines = whole_lines(path)
    with suppress(ValueError, RecursionError):
        # Parsing all lines at once takes half the time. A value over several lines gives fewer values than lines.
        values: list[dict[str, Any]] = json.loads(b"[" + b",".join(lines) + b"]")
        if len(values) == len(lines):
            return [check_line(value) for value in values]
    return [_decoded(line, number) for number, line in enumerate(lines, 1)]


def _decoded(line: bytes, number: int) -> Any:
    try:
        return decode_line(line)
    except ValueError as error:
        raise ValueError(f"line {number} {error}: {line[:_TOLD].decode(errors='replace')}") from error


def whole_lines(path: Path) -> list[bytes]:
    """Return the raw lines of a log without a torn last line; none if there is no file."""
    if not os.path.lexists(path):
        return []
    return read_bytes(path, LOG).split(b"\n")[:-1]  # The last part is empty, or a line torn by a crash.


def rewrite(file: IO[bytes], text: str) -> None:
    """Replace the content of an open file with `text`."""
    with naming(Path(file.name)):
        file.seek(0)
        file.truncate()
        _write(file, text.encode())


def check_room(path: Path, size: int) -> None:
    """Raise `OSError` if `size` bytes cannot be written beside `path`.

    For libraries that do not survive a full disk: HDF5 1.14 ends the process (seen).
    """
    partial = _partial(path)
    with naming(path):
        try:
            partial.unlink(missing_ok=True)
            with partial.open("wb") as file:
                _write(file, bytes(size))
        finally:
            partial.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, unless they exist."""
    if path.is_dir():
        return
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    with naming(path):
        _make_folder(path)
        for folder in new:
            _sync_folder(folder.parent)


def remove(path: Path) -> None:
    """Remove a file, or a folder with its content, unless it is gone. Of a link, only the link is removed."""
    with naming(path):
        _remove(path)


def move(path: Path, place: Path) -> None:
    """Rename a file or folder to a free name."""
    with naming(path):
        _move(path, place)


def set_aside(path: Path, word: str) -> Path:
    """Rename a file or folder to a name that ends in `word` and a number, and return it."""
    free = _free_name(path, word)
    with naming(path):
        _move(path, free)
    return free


def set_aside_copy(path: Path, word: str) -> Path:
    """Copy a file to such a name, and return it."""
    free = _free_name(path, word)
    write_bytes(free, read_bytes(path, LOG))
    return free


def _free_name(path: Path, word: str) -> Path:
    names = (path.with_name(f"{path.name}.{word}-{number}") for number in count(1))
    return next(name for name in names if not os.path.lexists(name))


def leftovers(folder: Path) -> list[Path]:
    """List what interrupted writes have left in a folder, without its subfolders."""
    return sorted(path for path in folder.iterdir() if _LEFTOVER.fullmatch(path.name))


def expand_home(path: Path | str) -> Path:
    """Return a path with "~" replaced; unchanged for a user who does not exist."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path raises an error for such a user


def interrupted(path: Path) -> list[tuple[Path, str, int]]:
    """List what replacements of `path` have left beside it: each with "partial" or "old", and its process."""
    matches = ((place, _LEFTOVER.fullmatch(place.name)) for place in leftovers(path.parent))
    return [(place, match[1], int(match[2])) for place, match in matches if match and match[3] == path.name]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make an `OSError` name a file that the user knows, and restore the error number that HDF5 hides in its text."""
    try:
        yield
    except OSError as error:
        hidden = re.search(r"errno = (\d+)", str(error))
        number = int(hidden[1]) if hidden else error.errno
        if number is None or (error.filename is not None and ".partial-" not in str(error.filename)):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _partial(path: Path) -> Path:
    return path.with_name(f".partial-{os.getpid()}-{path.name}")


def _swap(new: Path, path: Path) -> None:
    old = path.with_name(f".old-{os.getpid()}-{path.name}")
    _move(path, old)
    try:
        _move(new, path)
    except OSError:
        _move(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _cut_torn_line(log: IO[bytes]) -> None:
    size = log.seek(0, os.SEEK_END)
    if size == 0:
        return
    log.seek(size - 1)
    if log.read(1) == b"\n":
        return
    log.seek(0)
    log.truncate(log.read().rfind(b"\n") + 1)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(file: IO[bytes], data: bytes | memoryview) -> None:
    file.write(data)
    file.flush()


def _sync(file: IO[bytes]) -> None:
    os.fsync(file.fileno())


def _move(old: Path, new: Path) -> None:
    old.replace(new)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
