"""What this process works on, so that its last message can say how to continue; and its end by a signal."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click

from resnet_search.cli.options import RUNS_DIR
from resnet_search.cli.text import safe
from resnet_search.runs.folder import RUN_JSON, RunFolder

# Seconds before a signal ends the process by force: a library may swallow the exception, or its cleanup may hang.
PATIENCE = 7.0
_SHOW_CURSOR = "\x1b[?25h"


@dataclass(slots=True)
class Session:
    """The run that a command starts or continues, if any; a new run may not have a folder yet.

    `verb` is the command that continues it, `workers` the option to repeat with that, if any.
    """

    folder: Path | None = None
    runs_dir: Path = RUNS_DIR
    begun: bool = False
    verb: str = "resume"
    workers: str = ""

    @property
    def resume(self) -> str:
        """The command that continues the run; empty if there is none."""
        if self.folder is None or not (self.folder / "run.json").is_file():
            return ""
        return f"resnet-search {self.verb} {run_words(self.folder, self.runs_dir)}{self.workers}"

    @property
    def after_signal(self) -> str:
        """The message for someone who stopped the process."""
        if self.folder is None:
            return "Interrupted."
        if not self.resume:
            return "Interrupted before the start: no files were left behind."
        return f"Interrupted. Every finished epoch is kept. Continue with:\n  {self.resume}"


def run_words(folder: Path, runs_dir: Path) -> str:
    """Return a run's folder as it is typed on a command line in this process's working directory."""
    follows = (folder.parent / RUN_JSON).is_file()
    if (folder.parent.parent if follows else folder.parent) != runs_dir:
        return shlex.quote(safe(folder))
    word = safe(RunFolder(folder).word)
    return word if runs_dir == RUNS_DIR else f"{word} {runs_dir_words(runs_dir)}"


def runs_dir_words(runs_dir: Path) -> str:
    """Return the option that names a folder of runs."""
    return f"--runs-dir {shlex.quote(safe(runs_dir))}"


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal; no `except Exception` catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


class Signals:
    """Turns the first signal into `Interrupted` in the main thread, and ensures that the process then ends."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.received: Interrupted | None = None

    def install(self) -> None:
        """Handle the signals, except those that the parent process ignores, as nohup does."""
        for number in _numbers():
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)

    def release(self) -> None:
        """Restore the default handling of signals."""
        for number in _numbers():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, signal.SIG_DFL)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        # A second Ctrl-C must not interrupt the cleanup of the run.
        for other in _numbers():
            signal.signal(other, signal.SIG_IGN)
        self.received = Interrupted(number)
        watchdog = threading.Timer(PATIENCE, leave, [self.session.after_signal, self.received.exit_status])
        watchdog.daemon = True
        watchdog.start()
        raise self.received


def leave(message: str, status: int) -> Any:
    """End the process at once. Files are always safe, and worker processes end with their driver."""
    try:
        if sys.stdout.isatty():
            sys.stdout.write(_SHOW_CURSOR)
        sys.stdout.flush()
        click.echo(message, err=True)
        sys.stderr.flush()
    finally:
        # A normal exit would wait for threads of libraries, such as a download.
        os._exit(status)


def _numbers() -> list[int]:
    return [int(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
