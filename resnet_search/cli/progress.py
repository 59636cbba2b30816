"""The progress of a search from its events: values for the live view and the plain lines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from resnet_search.errors import RunError
from resnet_search.report.kind import accuracy_word, is_grid
from resnet_search.runs.events import Event
from resnet_search.runs.speed import Pace, Pacing
from resnet_search.runs.trials import COMPLETED, FAILED, RUNNING, RunView, Trial
from resnet_search.search.final import is_to_come
from resnet_search.training.length import in_epochs


@dataclass(frozen=True, slots=True)
class Running:
    """A training trial: `epoch` is the last one it has finished, `since` the time when its training started."""

    trial: str
    name: str
    bracket: int
    rung: int
    epoch: float
    epochs: float
    loss: float | None
    val_accuracy: float | None
    since: float
    restarts: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a search at one moment; `seconds_left` is None before anything has been measured.

    `ready`: whether a worker process has started. `halving`: whether there are brackets and rungs to show. `accuracy`:
    short name of the accuracies.
    """

    run: str
    trials: int
    planned_trials: int
    failed: int
    epochs: float
    planned_epochs: float
    seconds_left: float | None
    running: tuple[Running, ...]
    best: Trial | None
    last: Trial | None
    ready: bool
    halving: bool = True
    waiting: str = ""  # why trials wait
    accuracy: str = "val acc"
    then: str = ""  # what follows the plan


@dataclass(slots=True)
class _UnderWay:
    """The running trials and their totals: epochs trained, epochs left, and epochs left times multiply-adds."""

    trials: dict[str, Running] = field(default_factory=dict)
    trained: float = 0
    left: float = 0
    work: float = 0
    _shares: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def put(self, running: Running, start: float, macs: int) -> None:
        """Add or update a trial whose rung starts at epoch `start`."""
        left = running.epochs - running.epoch
        self._add(running.trial, (max(0, running.epoch - start), left, left * macs))
        self.trials[running.trial] = running

    def drop(self, trial: str) -> None:
        """Remove a trial that has ended."""
        self._add(trial, (0, 0, 0))
        self.trials.pop(trial, None)

    def _add(self, trial: str, share: tuple[float, float, float]) -> None:
        before = self._shares.pop(trial, (0, 0, 0))
        self.trained += share[0] - before[0]
        self.left += share[1] - before[1]
        self.work += share[2] - before[2]
        if any(share):
            self._shares[trial] = share


@dataclass(slots=True)
class Progress:
    """Processes the events of one session of a run; the cost of an event does not grow with the number of trials."""

    clock: Callable[[], float] = time.time
    _rungs: dict[tuple[int, int, int], dict[str, Any]] = field(default_factory=dict)
    _filled: Counter[tuple[int, int, int]] = field(default_factory=Counter)  # trials, without failed ones
    _planned: tuple[int, float] = (0, 0)  # trials and epochs
    _completed: int = 0
    _failed: int = 0
    _epochs: float = 0  # of completed trials
    _macs: int = 0  # of all trials
    _pacing: Pacing = field(default_factory=Pacing)
    _pace_of_epochs: Pace | None = None
    _lines: dict[str, dict[str, Any]] = field(default_factory=dict)  # the last line of each running trial
    _first_line: dict[str, float] = field(default_factory=dict)
    _running: _UnderWay = field(default_factory=_UnderWay)
    _best: Trial | None = None
    _last: Trial | None = None
    _ready: bool = False
    _waiting: str = ""
    _run: str = ""

    def take(self, event: Event, view: RunView) -> Snapshot:
        """Return the state after an event that `view` already includes."""
        kind = event["event"]
        if kind in {"started", "resumed", "extended"}:
            self._begin(view)
        self._ready |= kind in {"worker_ready", "epoch"}
        if kind in {"waiting", "worker_ready", "epoch"}:
            self._waiting = str(event.get("reason", ""))
        trial = view.trials.get(event.get("trial", ""))
        if trial is not None:
            self._take_trial(event, trial, view)
        return self._snapshot(view)

    def _begin(self, view: RunView) -> None:
        """Read the plan and the trials so far."""
        self._rungs = {
            (bracket["iteration"], bracket["number"], rung["index"]): rung
            for bracket in view.content["plan"]
            for rung in bracket["rungs"]
        }
        self._filled = Counter(_place(trial) for trial in view.trials.values() if trial.status != FAILED)
        self._planned = (view.planned_trials, view.planned_epochs)
        self._run = view.folder.full_name
        self._completed = self._failed = self._epochs = self._macs = 0
        self._pacing, self._best = Pacing(), None
        for trial in view.trials.values():
            self._macs += trial.macs
            if trial.status == RUNNING:
                with suppress(RunError):
                    if lines := view.history(trial):
                        self._lines[trial.trial] = lines[-1]
                self._see_running(trial)
            else:
                self._see_ended(trial, view)

    def _take_trial(self, event: Event, trial: Trial, view: RunView) -> None:
        kind = event["event"]
        if kind == "epoch":
            self._take_epoch(event["line"], trial)
        if kind == "created":
            self._macs += trial.macs
            self._fill(trial, 1)
            # A candidate that is drawn again may rank differently among equals; its best trial is enough.
            done = [other for other in view.of_candidate(trial.candidate) if other.status == COMPLETED]
            if done and trial.promoted_from is None:
                self._see_best(max(done, key=lambda other: (other.epochs, other.score)), view)
        if kind in {COMPLETED, FAILED}:
            self._fill(trial, -(kind == FAILED))
            self._see_ended(trial, view)
            self._last = trial
            self._lines.pop(trial.trial, None)
            self._first_line.pop(trial.trial, None)
            self._running.drop(trial.trial)
        elif trial.status == RUNNING:
            self._see_running(trial)

    def _take_epoch(self, line: dict[str, Any], trial: Trial) -> None:
        before = self._lines.get(trial.trial, line)
        self._lines[trial.trial] = line
        # Skip the first line of a trial, which compiles the network.
        if line["epoch"] > self._first_line.setdefault(trial.trial, line["epoch"]):
            work = trial.macs * (line["epoch"] - before["epoch"])
            self._pace_of_epochs = Pace((line["train_seconds"] + line["validation_seconds"]) / work, 0.0)

    def _see_ended(self, trial: Trial, view: RunView) -> None:
        if trial.status == FAILED:
            self._failed += 1
            return
        self._completed += 1
        self._epochs += trial.epochs - self._planned_start(trial)
        self._pacing.add(trial)
        self._see_best(trial, view)

    def _see_best(self, trial: Trial, view: RunView) -> None:
        if trial.status == COMPLETED and view.is_ranked(trial):
            self._best = trial if self._best is None else min(self._best, trial, key=view.rank)

    def _see_running(self, trial: Trial) -> None:
        if trial.reused:
            return
        line, before = self._lines.get(trial.trial, {}), self._running.trials.get(trial.trial)
        running = Running(
            trial=trial.trial,
            name=trial.name,
            bracket=trial.bracket,
            rung=trial.rung,
            epoch=line.get("epoch", trial.initial_epoch),
            epochs=trial.epochs,
            loss=line.get("loss"),
            val_accuracy=line.get("val_accuracy"),
            since=self.clock() if before is None else before.since,
            restarts=trial.losses,
        )
        self._running.put(running, self._planned_start(trial), trial.macs)

    def _snapshot(self, view: RunView) -> Snapshot:
        epochs = in_epochs(self._epochs + self._running.trained)
        planned_trials, planned_epochs = self._planned
        return Snapshot(
            run=self._run,
            trials=self._completed,
            planned_trials=planned_trials,
            failed=self._failed,
            epochs=epochs,
            planned_epochs=in_epochs(planned_epochs),
            seconds_left=self._seconds_left(view, planned_epochs - epochs),
            running=tuple(self._running.trials.values()),
            best=self._best,
            last=self._last,
            ready=self._ready,
            waiting=self._waiting,
            halving=not is_grid(view),
            accuracy=accuracy_word(view),
            then=", then the final training" if is_to_come(view) else "",
        )

    def _planned_start(self, trial: Trial) -> float:
        """Return the first epoch of its rung; the trial starts later if its candidate was trained before."""
        rung = self._rungs.get(_place(trial))
        return trial.initial_epoch if rung is None else rung["initial_epoch"]

    def _fill(self, trial: Trial, by: int) -> None:
        """Add a trial to its rung or remove it; a rung larger than planned enlarges the plan."""
        place = _place(trial)
        size = self._rungs[place]["size"] if place in self._rungs else 0
        grown = -max(size, self._filled[place])
        self._filled[place] += by
        grown += max(size, self._filled[place])
        trials, epochs = self._planned
        self._planned = (trials + grown, epochs + grown * (trial.epochs - self._planned_start(trial)))

    def _seconds_left(self, view: RunView, epochs_left: float) -> float | None:
        """Estimate the time left at the pace so far; an epoch's time is proportional to the multiply-adds."""
        # Until a trial has ended, use the epochs of the running ones.
        pace = self._pacing.pace or self._pace_of_epochs
        if pace is None:
            return None
        work = self._running.work + round(self._macs / len(view.trials) * max(0, epochs_left - self._running.left))
        trials_left = max(0, self._planned[0] - self._completed - len(self._running.trials))
        seconds = work * pace.seconds_per_mac_epoch + trials_left * pace.trial_seconds
        return seconds / int(view.content["workers"]["slots"])


def _place(trial: Trial) -> tuple[int, int, int]:
    return trial.iteration, trial.bracket, trial.rung
