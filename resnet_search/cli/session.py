"""What this process works on, so that whoever ends it is told how to go on; and its end by a signal."""

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

# A signal may be swallowed by a callback of a library, or its cleaning up may hang: this long is waited, in seconds.
PATIENCE = 7.0
_SHOW_CURSOR = "\x1b[?25h"


@dataclass(slots=True)
class Session:
    """The run that a command makes or continues: none, one that may not have a folder yet, or one under way.

    `verb` is the command that goes on with it, `workers` the option that has to be given again with it, if any.
    """

    folder: Path | None = None
    runs_dir: Path = RUNS_DIR
    begun: bool = False
    verb: str = "resume"
    workers: str = ""

    @property
    def resume(self) -> str:
        """The command that goes on with the run; empty if there is none."""
        if self.folder is None or not (self.folder / "run.json").is_file():
            return ""
        return f"resnet-search {self.verb} {run_words(self.folder, self.runs_dir)}{self.workers}"

    @property
    def after_signal(self) -> str:
        """What to say to someone who stopped the process."""
        if self.folder is None:
            return "Interrupted."
        if not self.resume:
            return "Interrupted: nothing was started, and nothing is left behind."
        return f"Interrupted. Every finished epoch is kept. Continue with:\n  {self.resume}"


def run_words(folder: Path, runs_dir: Path) -> str:
    """A run's folder as the words of a command line, to be typed from where this process was started."""
    follows = (folder.parent / RUN_JSON).is_file()
    if (folder.parent.parent if follows else folder.parent) != runs_dir:
        return shlex.quote(safe(folder))
    word = safe(RunFolder(folder).word)
    return word if runs_dir == RUNS_DIR else f"{word} {runs_dir_words(runs_dir)}"


def runs_dir_words(runs_dir: Path) -> str:
    """The option that names a folder of runs."""
    return f"--runs-dir {shlex.quote(safe(runs_dir))}"


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal; no `except Exception` on the way holds it up."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


class Signals:
    """Turns the first signal into `Interrupted` in the main thread, and sees to it that the process then ends."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.received: Interrupted | None = None

    def install(self) -> None:
        """Handle the signals; one that the parent process has ignored, as nohup does, stays ignored."""
        for number in _numbers():
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)

    def release(self) -> None:
        """Let signals end the process as they do by default."""
        for number in _numbers():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, signal.SIG_DFL)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        # Whoever presses Ctrl-C twice must not interrupt what puts the run in order.
        for other in _numbers():
            signal.signal(other, signal.SIG_IGN)
        self.received = Interrupted(number)
        watchdog = threading.Timer(PATIENCE, leave, [self.session.after_signal, self.received.exit_status])
        watchdog.daemon = True
        watchdog.start()
        raise self.received


def leave(message: str, status: int) -> Any:
    """End the process at once. Files are safe at any moment, and worker processes end with their driver."""
    try:
        if sys.stdout.isatty():
            sys.stdout.write(_SHOW_CURSOR)
        sys.stdout.flush()
        click.echo(message, err=True)
        sys.stderr.flush()
    finally:
        # Threads of libraries, a download's for one, would be waited for by an ordinary exit.
        os._exit(status)


def _numbers() -> list[int]:
    return [int(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
