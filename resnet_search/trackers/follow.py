"""Follow a run by its files: which candidates changed, and their current state. Nothing is locked or written."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from resnet_search.reading import LOG, open_plain
from resnet_search.runs.axes import space_of
from resnet_search.runs.events import Event
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trial import DAMAGE
from resnet_search.runs.trials import COMPLETED, RunView, Trial, read_run, view_of
from resnet_search.trackers.contract import Record, Search
from resnet_search.trackers.records import record_of, search_of
from resnet_search.training.job import HISTORY

Rung = tuple[int, int, int]  # iteration, bracket, rung


class Lines:
    """The lines of a log as it grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._file, self._offset = path, 0, 0

    def read(self) -> list[bytes] | None:
        """Return the complete lines since the last call; None if the log was replaced and must be read again."""
        with open_plain(self._path, LOG) as log:
            status = os.fstat(log.fileno())
            if self._offset and (status.st_ino != self._file or status.st_size < self._offset):
                self._offset = 0
                return None
            self._file = status.st_ino
            log.seek(self._offset)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.splitlines()


class Follower:
    """A reader of a run; `poll` reads what is new."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._begin()

    def _begin(self) -> None:
        self.view: RunView = view_of(self.folder, self.folder.read(), [], locked=False)
        self.search: Search = search_of(self.view)
        self.space = space_of(self.view)
        self._lines = Lines(self.folder.events)
        self._running: set[str] = set()
        self._promoted: set[str] = set()
        self._completed: Counter[Rung] = Counter()
        self._sizes = _sizes(self.view)
        self._members: dict[Rung, set[int]] = {}
        self._seen: dict[str, tuple[int, int]] = {}

    def poll(self) -> set[int]:
        """Return the candidates that may have changed since the last call; all at first. `RunError` if damaged."""
        lines = self._lines.read() if self.folder.events.exists() else []
        if lines is None:  # Repaired, or restored from a copy.
            self._begin()
            return self.poll()
        changed: set[int] = set()
        for line in lines:
            changed |= self._take(line)
        return changed | {self.view.trials[trial].candidate for trial in self._running if self._grown(trial)}

    @property
    def candidates(self) -> set[int]:
        """Return all candidates."""
        return {trial.candidate for trial in self.view.trials.values()}

    def record(self, candidate: int) -> Record:
        """Return the current state of a candidate."""
        return record_of(self.view, self.space, candidate, self._promoted, self._full)

    def _take(self, line: bytes) -> set[int]:
        try:
            event: Event = json.loads(line)
            self.view.apply(event)
            return set(self._count(event))
        except DAMAGE:
            read_run(self.folder)  # Its error says what is damaged and how to repair it.
            raise

    def _count(self, event: Event) -> Iterable[int]:
        """Update the counts of the rungs; return the candidates that an event changes."""
        kind = event["event"]
        if kind == "extended":
            self._sizes = _sizes(self.view)
        if "trial" not in event:
            # Few per session, and they may decide any undecided candidate.
            return self.candidates if kind in _OF_ALL else ()
        if event["trial"] not in self.view.trials:  # Its line was damaged.
            return ()
        trial = self.view.trials[event["trial"]]
        rung = _rung(trial)
        if kind == "created":
            self._members.setdefault(rung, set()).add(trial.candidate)
            if trial.promoted_from is not None:
                self._promoted.add(trial.promoted_from)
        if kind in {"created", "reopened", "retried"}:
            self._running.add(trial.trial)
            self._completed[rung] -= kind == "reopened"
        elif kind in {"completed", "failed"}:
            self._running.discard(trial.trial)
            self._completed[rung] += kind == COMPLETED
            if self._full(rung):
                below = (rung[0], rung[1], rung[2] - 1)
                return [trial.candidate, *self._members.get(below, ())]
        return [trial.candidate]

    def _full(self, rung: Rung) -> bool:
        """Return whether a rung has completed all planned trials, so that no trial is promoted into it any more."""
        return rung in self._sizes and self._completed[rung] >= self._sizes[rung]

    def _grown(self, trial: str) -> bool:
        try:
            status = (self.folder.trial(trial) / HISTORY).stat()
        except OSError:
            return False
        now = (status.st_mtime_ns, status.st_size)
        before, self._seen[trial] = self._seen.get(trial), now
        return now != before


def _rung(trial: Trial) -> Rung:
    return trial.iteration, trial.bracket, trial.rung


def _sizes(view: RunView) -> dict[Rung, int]:
    """Return the rungs that have reached their planned size."""
    if view.content["space"]["hyperband"].get("promotion") == "async":
        return {}
    return {
        (bracket["iteration"], bracket["number"], rung["index"]): rung["size"]
        for bracket in view.content["plan"]
        for rung in bracket["rungs"]
    }


_OF_ALL = frozenset({"finished", "extended"})
