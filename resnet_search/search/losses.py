"""Whose fault it is that trials cannot be trained: the candidates', or the machine's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from resnet_search.errors import TrainingError
from resnet_search.reading import last_line
from resnet_search.runs.events import Event
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import Trial
from resnet_search.training.job import FAILURE
from resnet_search.workers.contract import Lost

# A trial that loses its worker so many times fails; if the machine is the cause, the search stops instead.
LOSSES_OF_A_TRIAL = 3
# So many failures in a row are not the candidates' fault.
FAILURES_IN_A_ROW = 10


class Losses:
    """Counts the lost workers and failed trials of one session, after the `events` of earlier ones.

    A loss that its worker calls the machine's counts for no trial. Several without an epoch in between stop the
    search. A trial that this happens to in a later session too, where others could train, fails itself after all.
    """

    def __init__(self, folder: RunFolder, events: Iterable[Event]) -> None:
        self._folder = folder
        self._before = {event["trial"] for event in events if event["event"] == "lost" and event.get("machine")}
        self._of_machine: Counter[str] = Counter()  # by trial, since its last epoch
        self._trained = False
        self._failures = 0

    def suspects(self, trial: Trial) -> bool:
        """Return whether the machine failed while it trained this trial in an earlier session."""
        return trial.trial in self._before

    def epoch(self, trial: str) -> None:
        """Record that an epoch was trained."""
        self._trained = True
        self._of_machine.pop(trial, None)

    def completed(self) -> None:
        """Record that a trial has completed."""
        self._failures = 0

    def failed(self, trial: Trial) -> None:
        """Record that a trial failed; `TrainingError` if too many did in a row."""
        self._failures += 1
        if self._failures == FAILURES_IN_A_ROW:
            raise TrainingError(
                f"{self._failures} trials failed in a row; the last, {trial.trial}, with: {trial.reason}",
                f"See {self._folder.trial(trial.trial) / FAILURE} and fix the cause. `resume` continues with other "
                "candidates; with --retry-failed it trains these again.",
            )

    def lost(self, trial: Trial, message: Lost) -> str:
        """Return why a trial that has lost its worker fails, nothing if it continues.

        `TrainingError` if the machine is the cause.
        """
        self._of_machine[trial.trial] += message.machine
        losses = self._of_machine[trial.trial] if message.machine else trial.losses
        if losses < LOSSES_OF_A_TRIAL:
            return ""
        if not message.machine:
            return f"lost {losses} times, the last time because its worker {message.reason}"
        what = f"lost its worker {losses} times without an epoch in between; the last one {message.reason}"
        if self._trained and self.suspects(trial):
            return what
        said = last_line(self._folder.worker_log)
        raise TrainingError(
            f"trial {trial.trial} {what}{f': {said}' if said else ''}",
            "The machine or the installation is the likely cause, so no trial has failed. See "
            f"{self._folder.worker_log} and resnet-search doctor, free memory or use fewer --workers, then "
            "resume the run.",
        )
