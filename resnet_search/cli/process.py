"""Prepare the process of a command: open streams, UTF-8, and no settings of the user's other programs."""

from __future__ import annotations

import io
import os
import sys
import warnings
from codecs import lookup
from locale import getencoding
from typing import Any

from resnet_search.keras_settings import own_settings
from resnet_search.workers.quiet import open_streams

_SILENT = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # as Python is by default


class _OutlivesReader(io.FileIO):
    """A standard stream that discards its output after its reader has ended, as `head` does, or its disk is full."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


def outlive_reader() -> None:
    """Let a search continue after the reader of its standard output has ended."""
    if sys.stdout is not sys.__stdout__ or sys.stdout is None:
        return
    raw = _OutlivesReader(sys.stdout.fileno(), "w", closefd=False)
    stream = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=sys.stdout.encoding, errors=sys.stdout.errors, line_buffering=True
    )
    sys.stdout.flush()
    sys.stdout = sys.__stdout__ = stream  # type: ignore[misc]


def prepare(*, restart: bool) -> None:
    """Prepare this process, and the environment of those that it starts.

    `restart`: whether it may start again, in UTF-8, if its locale is confined to ASCII.
    """
    open_streams()
    own = own_settings(os.environ)
    for name in os.environ.keys() - own.keys():
        del os.environ[name]
    os.environ.update(own)
    if restart and lookup(sys.getfilesystemencoding()).name == "ascii":
        # Names of files and classes could not be read; Python cannot change its encoding later.
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606
    if sys.warnoptions:
        warnings.resetwarnings()
        for category in _SILENT:
            warnings.simplefilter("ignore", category)
    # A process that was started again reads UTF-8, but its terminal does not show it.
    encoding = "ascii" if "utf8" in sys._xoptions and lookup(getencoding()).name == "ascii" else None  # noqa: SLF001 - documented
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Print question marks instead of a traceback on a terminal that is not UTF-8.
            stream.reconfigure(encoding=encoding, errors="replace")
