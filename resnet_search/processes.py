"""Start Python so that it imports what is installed, never what happens to be in the current directory.

A `queue.py` in a folder of notes would otherwise replace the standard library's in every process of a search.
"""

from __future__ import annotations

import os
import sys  # and nothing else: this is imported before the path is safe

# -P keeps the current directory, and the folder of a script, off the path.
PYTHON = (sys.executable, "-P")


def safe_environment(**more: str) -> dict[str, str]:
    """Return the environment of a child: this process's with `more`, without settings of the user's other programs."""
    from resnet_search.keras_settings import own_settings

    return {**own_settings(os.environ), **more, **_safe_path()}


def protect() -> None:
    """Keep the current directory off the path of this process and of all that it starts."""
    if "" in _named():
        here = os.path.realpath(os.curdir)
        sys.path[:] = [place for place in sys.path if place and (place in _named() or os.path.realpath(place) != here)]
    os.environ |= _safe_path()


def _safe_path() -> dict[str, str]:
    named = {"PYTHONPATH": os.pathsep.join(filter(None, _named()))} if "" in _named() else {}
    return {"PYTHONSAFEPATH": "1", **named}


def _named() -> list[str]:
    """Return the folders of PYTHONPATH. An empty one, as in `PYTHONPATH=$PYTHONPATH:/lib`, is the current directory."""
    value = os.environ.get("PYTHONPATH")
    return value.split(os.pathsep) if value else []
