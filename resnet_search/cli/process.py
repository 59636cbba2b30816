"""Prepare the process of a command: open streams, UTF-8, and no settings of the user's other programs."""

from __future__ import annotations

import os
import sys
import warnings
from codecs import lookup
from locale import getencoding

from resnet_search.keras_settings import own_settings
from resnet_search.workers.quiet import open_streams

_SILENT = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # as Python is by default


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
