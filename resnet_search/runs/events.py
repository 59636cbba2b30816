"""The events of a run, in order: the one truth that everything else is derived from.

| event | fields |
|---|---|
| started, resumed | process, host |
| created | trial and the fields of `trials.Trial` that are known before training |
| completed | trial, score, setup_seconds, train_seconds |
| failed | trial, reason |
| lost | trial, exit_code: its worker died; the trial goes on in another |
| interrupted | reason |
| finished | |

Each has `time`, seconds since 1970.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from resnet_search.errors import RunError
from resnet_search.files import append_line, read_lines

Event = dict[str, Any]


def append_event(path: Path, event: str, **fields: Any) -> Event:
    """Write an event; it is on disk when this returns."""
    line = {"event": event, "time": round(time.time(), 3), **fields}
    append_line(path, line)
    return line


def read_events(path: Path) -> list[Event]:
    """All events; `RunError` if a line other than a torn last one is damaged."""
    try:
        return read_lines(path)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: is damaged: {error}", "Restore the file from a copy, or start a new run; nothing was changed."
        ) from error
