"""The events of a run, oldest first: the one truth that everything else is derived from.

| event | fields |
|---|---|
| started, resumed | process, host, workers: how it trains from here on |
| extended | plan, hyperband, horizon: as they are from here on; known: candidates of a bracket that draws none; \
for a final training also constant_until, stage and closed (brackets in which no more trials start) |
| created | trial and the fields of `trials.Trial` that are known before training |
| completed | trial, score, val_loss, setup_seconds, train_seconds; taken: the run and trial it was copied from |
| failed | trial, reason |
| lost | trial, exit_code, reason: its worker was lost, another continues the trial; blameless: lost with its machine; \
machine: by a fault of this machine |
| divided | trial, parts: of each batch, since the memory does not suffice for a whole one |
| retrained | trial: what it was to continue is gone; it trains its candidate from the first epoch on |
| steered | request, said, done: the answer to a request from another terminal, after the event that carries it out, \
which has its `request` too; aside: no process worked on the run |
| interrupted | reason |
| stopped | reason: the budget of a command is spent, and the plan is not done |
| finished | |
| cleaned | trials, bytes: their checkpoints are removed, as the user wanted |
| repaired | done: what `doctor --repair` did, a sentence each |
| dropped | trial: its line here was damaged; its id is not given again |
| retried | trial: it had failed, and is trained again |
| reopened | trial, reason: its weights are gone; it is trained again, to the score it had |

Each has `time`, seconds since 1970.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resnet_search.errors import RunError
from resnet_search.files import append_line, read_lines, whole_lines
from resnet_search.lines import decode_line

Event = dict[str, Any]


def append_event(path: Path, event: str, **fields: Any) -> Event:
    """Write an event; it is on disk when this returns."""
    line = make_event(event, **fields)
    append_line(path, line)
    return line


def make_event(event: str, **fields: Any) -> Event:
    """An event of now."""
    return {"event": event, "time": round(time.time(), 3), **fields}


def read_events(path: Path) -> list[Event]:
    """All events; `RunError` if a line other than a torn last one is damaged."""
    try:
        return read_lines(path)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: is damaged: {error}",
            f"See what is left, and repair it: resnet-search doctor {shlex.quote(path.parent.name)} --repair",
        ) from error


def read_each(path: Path) -> Iterator[tuple[int, bytes, Any, str]]:
    """Yield each line's number, from 1, its bytes, its value and what is wrong with it; a torn last line is left out.

    A line with something wrong has no value.
    """
    for number, line in enumerate(whole_lines(path), 1):
        try:
            yield number, line, decode_line(line), ""
        except ValueError as error:
            yield number, line, None, str(error)
