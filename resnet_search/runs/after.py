"""What follows a search, inside its folder: where it lies, and where its reads of the test images are noted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from resnet_search.errors import RunError
from resnet_search.files import append_line, move, read_lines, remove
from resnet_search.reading import read_json
from resnet_search.runs.folder import RUN_JSON, RunFolder
from resnet_search.runs.trials import RunView, read_run

CONFIRM, FINAL = "confirm", "final"
LEDGER = "test_reads.jsonl"
TESTED = "test.json"


def following(folder: RunFolder, kind: str) -> RunView | None:
    """The `confirm` or `final` of a run, None where there is none."""
    path = folder.path / kind
    return read_run(RunFolder(path)) if (path / RUN_JSON).is_file() else None


def follow_ups(folder: RunFolder) -> tuple[RunFolder, RunFolder]:
    """Where the `confirm` and the `final` of a run are, if there are any."""
    return RunFolder(folder.path / CONFIRM), RunFolder(folder.path / FINAL)


def under_way(folder: RunFolder) -> list[RunView]:
    """Return the following runs that train now and can be read."""
    found = []
    for each in follow_ups(folder):
        with suppress(RunError):
            if each.is_locked():
                found.append(read_run(each))
    return found


@contextmanager
def making_way(path: Path) -> Iterator[Callable[[], None]]:
    """What is at `path` makes way for what the block puts there, and is removed when the block calls what it is given.

    If the block ends by an error before that, it is put back; if the process dies, `put_back` does so.
    """
    aside = _aside(path)

    def remove_aside() -> None:
        if aside.exists():
            # First under a name that nothing is put back from: its removal may be cut off.
            old = path.with_name(f".old-{os.getpid()}-{path.name}")
            move(aside, old)
            remove(old)

    put_back(path)
    if path.exists():
        move(path, aside)
    try:
        yield remove_aside
    except BaseException:
        put_back(path)
        raise


def put_back(path: Path) -> None:
    """Put back what had made way at `path`, in the place of what is there; nothing if nothing had."""
    aside = _aside(path)
    if aside.exists() and not RunFolder(path).is_locked():
        remove(path)
        move(aside, path)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.aside")


def root(view: RunView) -> RunFolder:
    """The folder of the search that a run follows from; its own, where it follows from none."""
    return RunFolder(view.folder.path.parent) if view.content.get("of") else view.folder


def note_read(view: RunView, *, command: Sequence[str], network: str, images: int) -> None:
    """Put a read of the test images into the ledger; it is on disk before they are read."""
    line = {"time": round(time.time(), 3), "command": list(command), "network": network, "images": images}
    append_line(root(view).path / LEDGER, line)


def reads_of_test_images(view: RunView) -> list[dict[str, Any]]:
    """Return every read of the test images in a run and in the runs that followed it, oldest first."""
    path = root(view).path / LEDGER
    try:
        reads = read_lines(path)
        return [{**read, "time": float(read["time"]), "images": int(read["images"])} for read in reads]
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise RunError(f"{path}: is damaged: {error}", "Restore the file from a copy.") from error


def tested(view: RunView) -> dict[str, Any] | None:
    """What was measured on the test images with the network of a run, None if they were not read."""
    path = Path(view.folder.path) / TESTED
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
