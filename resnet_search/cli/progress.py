"""What a search has done and what is left of it, from its events: values for the live view and the plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from resnet_search.errors import RunError
from resnet_search.report.kind import is_grid
from resnet_search.runs.events import Event
from resnet_search.runs.speed import Pace, pace_of
from resnet_search.runs.trials import COMPLETED, FAILED, RUNNING, RunView, Trial


@dataclass(frozen=True, slots=True)
class Running:
    """A trial that is training: `epoch` is the last one that it has finished, `since` when its training started."""

    trial: str
    name: str
    bracket: int
    rung: int
    epoch: int
    epochs: int
    loss: float | None
    val_accuracy: float | None
    since: float
    restarts: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a search at one moment; `seconds_left` is None before anything has been measured.

    `ready`: whether a worker process has started. `halving`: whether there are brackets and rungs to tell.
    """

    run: str
    trials: int
    planned_trials: int
    failed: int
    epochs: int
    planned_epochs: int
    seconds_left: float | None
    running: tuple[Running, ...]
    best: Trial | None
    last: Trial | None
    ready: bool
    halving: bool = True


@dataclass(slots=True)
class Progress:
    """Takes in the events of one session of a run."""

    clock: Callable[[], float] = time.time
    _first_epoch: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    _first_line: dict[str, int] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _last: Trial | None = None
    _ready: bool = False

    def take(self, event: Event, view: RunView) -> Snapshot:
        """The state after an event, which `view` has taken in."""
        if event["event"] in {"started", "resumed"}:
            self._first_epoch = {
                (bracket["iteration"], bracket["number"], rung["index"]): rung["initial_epoch"]
                for bracket in view.content["plan"]
                for rung in bracket["rungs"]
            }
            for trial in view.trials.values():
                self._known(trial, view)
        self._ready |= event["event"] in {"worker_ready", "epoch"}
        if event["event"] == "epoch":
            self._lines[event["trial"]] = event["line"]
            self._first_line.setdefault(event["trial"], event["line"]["epoch"])
        if event["event"] in {COMPLETED, FAILED}:
            self._last = view.trials[event["trial"]]
        return self._snapshot(view)

    def _snapshot(self, view: RunView) -> Snapshot:
        trials = list(view.trials.values())
        done = [trial for trial in trials if trial.status == COMPLETED]
        running = [self._running(trial) for trial in trials if trial.status == RUNNING and not trial.reused]
        finished_epochs = sum(trial.epochs - self._planned_start(trial) for trial in done) + sum(
            max(0, trial.epoch - self._planned_start(view.trials[trial.trial])) for trial in running
        )
        return Snapshot(
            run=view.folder.name,
            trials=len(done),
            planned_trials=view.planned_trials,
            failed=sum(trial.status == FAILED for trial in trials),
            epochs=finished_epochs,
            planned_epochs=view.planned_epochs,
            seconds_left=self._seconds_left(view, running, view.planned_epochs - finished_epochs),
            running=tuple(running),
            best=view.leader,
            last=self._last,
            ready=self._ready,
            halving=not is_grid(view),
        )

    def _known(self, trial: Trial, view: RunView) -> None:
        """What a trial that goes on had reached."""
        with suppress(RunError):
            if trial.status == RUNNING and (lines := view.history(trial)):
                self._lines[trial.trial] = lines[-1]

    def _running(self, trial: Trial) -> Running:
        line = self._lines.get(trial.trial, {})
        return Running(
            trial=trial.trial,
            name=trial.name,
            bracket=trial.bracket,
            rung=trial.rung,
            epoch=line.get("epoch", trial.initial_epoch),
            epochs=trial.epochs,
            loss=line.get("loss"),
            val_accuracy=line.get("val_accuracy"),
            since=self._since.setdefault(trial.trial, self.clock()),
            restarts=trial.losses,
        )

    def _planned_start(self, trial: Trial) -> int:
        """The epoch at which its rung starts: a trial may start later, where its candidate was trained before."""
        return self._first_epoch.get((trial.iteration, trial.bracket, trial.rung), trial.initial_epoch)

    def _seconds_left(self, view: RunView, running: list[Running], epochs_left: int) -> float | None:
        """What is left at the pace so far: the time of an epoch grows with a network's multiply-adds."""
        pace = pace_of(view.trials.values()) or self._pace_of_epochs(view)
        if pace is None:
            return None
        under_way = sum(trial.epochs - trial.epoch for trial in running)
        work = sum(view.trials[trial.trial].macs * (trial.epochs - trial.epoch) for trial in running)
        mean_macs = sum(trial.macs for trial in view.trials.values()) / len(view.trials)
        work += round(mean_macs * max(0, epochs_left - under_way))
        completed = sum(trial.status == COMPLETED for trial in view.trials.values())
        trials_left = max(0, view.planned_trials - completed - len(running))
        seconds = work * pace.seconds_per_mac_epoch + trials_left * pace.trial_seconds
        return seconds / int(view.content["workers"]["slots"])

    def _pace_of_epochs(self, view: RunView) -> Pace | None:
        """Where trials are long: from the last epoch of one, but never its first, which compiles the network."""
        for trial, line in reversed(self._lines.items()):
            if line["epoch"] > self._first_line.get(trial, line["epoch"]):
                seconds = line["train_seconds"] + line["validation_seconds"]
                return Pace(seconds / view.trials[trial].macs, 0.0)
        return None
