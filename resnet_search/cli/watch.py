"""`--watch`: redraw what a command shows whenever files of a run change, in at most a screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resnet_search.cli.options import Function
from resnet_search.errors import UsageError
from resnet_search.runs.folder import RunFolder

if TYPE_CHECKING:
    from rich.console import RenderableType

_PAUSE = 1.0  # least seconds between two checks of the files
_SHARE = 9  # pause in times of reading and drawing, so that watching uses at most a tenth of a processor
_CTRL_C = 130
_FRAME = 6  # lines beside the rows: header, columns not shown, the last line, the cursor
_WORDS = "Ctrl-C closes this view; the run continues."


@dataclass(frozen=True, slots=True)
class Look:
    """What to show now, the `files` it was read from, and the runs in `running` that still train."""

    renderables: Iterable[RenderableType]
    files: Sequence[Path]
    running: Sequence[RunFolder]


def watch_option(function: Function) -> Function:
    """--watch."""
    text = "Redraw on every change, until nothing trains any more or Ctrl-C. Needs a terminal."
    return click.option("--watch", "watched", is_flag=True, help=text)(function)


def check_watch(programs: Mapping[str, bool]) -> None:
    """Raise a `UsageError` if watching makes no sense; `programs`: options whose output is for programs."""
    from resnet_search.cli.screen import is_terminal

    for option, given in programs.items():
        if given:
            raise UsageError(f"--watch and {option} cannot be combined")
    if not is_terminal():
        raise UsageError(
            "--watch requires a terminal, but standard output is not one",
            "Leave out --watch to print the current state.",
        )


def watch(look: Callable[[int], Look]) -> int:
    """Show what `look` returns for the available rows; return the exit status, 130 after Ctrl-C."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from resnet_search.cli.screen import console
    from resnet_search.cli.session import Interrupted

    out = console()
    files: Sequence[Path] = ()
    with Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
        try:
            while True:
                begin = time.perf_counter()
                # Taken before reading, so that changes during it are seen in the next round.
                before = _stamps(files)
                now = look(max(1, out.height - _FRAME))
                files = now.files
                words = [Text(_WORDS, style="dim")] if now.running else []
                live.update(Group(*now.renderables, *words), refresh=True)
                if not now.running:
                    return 0
                pause = max(_PAUSE, _SHARE * (time.perf_counter() - begin))
                time.sleep(pause)
                while _stamps(files) == before and all(folder.is_locked() for folder in now.running):
                    time.sleep(pause)
        except Interrupted as interrupted:
            if interrupted.exit_status != _CTRL_C:
                raise
    return _CTRL_C


def _stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int] | None]:
    """Return when each was last changed, and its size."""
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
