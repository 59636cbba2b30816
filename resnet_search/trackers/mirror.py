"""Copy one run to one tracker."""

from __future__ import annotations

from contextlib import suppress

from resnet_search.runs.folder import RunFolder
from resnet_search.trackers.choice import open_tracker
from resnet_search.trackers.contract import Stored, Tracker
from resnet_search.trackers.follow import Follower


class Mirror:
    """`step` raises every error; the next step starts from what the tracker's store has by then."""

    def __init__(self, folder: RunFolder, name: str) -> None:
        self._name = name
        self._follower = Follower(folder)
        self._tracker: Tracker | None = None
        self._stored: dict[int, Stored] = {}
        self._news: set[int] = set()  # candidates to read again

    def step(self) -> None:
        """Send the tracker what is new."""
        self._news |= self._follower.poll()
        try:
            if self._tracker is None:
                self._tracker = open_tracker(self._name, self._follower)
                self._stored = self._tracker.stored()
                self._news = self._follower.candidates
            for candidate in sorted(self._news):
                self._tell(self._tracker, candidate)
                self._news.discard(candidate)
        except BaseException:
            self.close()
            raise

    def _tell(self, tracker: Tracker, candidate: int) -> None:
        record, before = self._follower.record(candidate), self._stored.get(candidate)
        last = record.curve[-1].step if record.curve else 0
        now = Stored(max(last, before.step if before else 0), record.state)
        if now != before:
            tracker.write(record, before)
            self._stored[candidate] = now

    def close(self) -> None:
        """Close the tracker's store."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            with suppress(Exception):  # It may be what has failed.
                tracker.close()
