"""Files that survive a crash: replaced whole or not at all, and logs that may lose their last line but no other."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A path to write to; when the block ends without an error, it has replaced `path` at once.

    Durably, so that a crash of the machine keeps it, unless the file can be derived from others: that is faster.
    """
    # The suffix stays last: Keras chooses the format of weights by it.
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield partial
        if durable:
            with partial.open("rb") as written:
                os.fsync(written.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace a text file."""
    with replacing(path, durable=durable) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Replace a JSON file."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n", durable=durable)


def append_line(path: Path, value: Any) -> None:
    """Append one JSON line, on disk when this returns. A torn line that a crash left is cut off first."""
    line = json.dumps(value, allow_nan=False).encode() + b"\n"
    with path.open("ab+") as log:
        _cut_torn_line(log)
        log.write(line)
        log.flush()
        os.fsync(log.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a log; none where there is no file. A torn last line is left out."""
    if not path.exists():
        return []
    *lines, torn = path.read_bytes().split(b"\n")
    del torn  # Empty, or what a crash left of a line.
    return [json.loads(line) for line in lines]


def _cut_torn_line(log: Any) -> None:
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
