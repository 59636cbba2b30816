"""`--watch` of the commands that read: what they show, again whenever files of a run change, in at most a screen."""

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

_PAUSE = 1.0  # seconds between two looks at the files, at least
_SHARE = 9  # times as long as it takes to read and draw, so that watching takes a tenth of a processor at most
_CTRL_C = 130
_FRAME = 6  # lines of a table beside its rows: header, what is left out, the last words, the cursor
_WORDS = "Ctrl-C ends this; the run goes on."


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to see now, as `files` hold it while the runs of `running` are driven."""

    renderables: Iterable[RenderableType]
    files: Sequence[Path]
    running: Sequence[RunFolder]


def watch_option(function: Function) -> Function:
    """--watch."""
    text = "Show it again whenever it changes, until nothing trains any more or Ctrl-C; on a terminal alone."
    return click.option("--watch", "watched", is_flag=True, help=text)(function)


def check_watch(programs: Mapping[str, bool]) -> None:
    """`UsageError` where watching makes no sense; `programs` are the options that print for programs."""
    from resnet_search.cli.screen import is_terminal

    for option, given in programs.items():
        if given:
            raise UsageError(f"--watch: got it with {option}; allowed: one of them")
    if not is_terminal():
        raise UsageError(
            "--watch: standard output is no terminal that can be drawn on; allowed: on a terminal",
            "Without --watch it prints what there is now.",
        )


def watch(look: Callable[[int], Look]) -> int:
    """Show what `look` sees, given the rows that there is room for; the exit status, 130 after Ctrl-C."""
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
                # Before they are read: what changes meanwhile, or is new among them, is looked at once more.
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
    """When each was changed last, and its size."""
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
