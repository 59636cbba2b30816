"""The progress of a search in plain lines, for files, pipes and logs: one for each ended trial, in fixed columns."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import click

from resnet_search.cli.progress import Progress, Snapshot
from resnet_search.cli.text import count, loss, roughly, safe
from resnet_search.cli.tracking import untold
from resnet_search.cli.worth import images_line, notes
from resnet_search.report.units import counted, duration, percent
from resnet_search.runs.events import Event
from resnet_search.runs.trials import COMPLETED, FAILED, RunView, Trial

_NAME = 24  # least characters of a name


class PlainLines:
    """An observer that prints. If the reader closes the pipe, it falls silent and the search continues."""

    def __init__(self, preparing: str) -> None:
        self._preparing = preparing
        self._progress = Progress()
        self._silent = False
        self._waiting = ""  # The last reason for waiting that was printed.
        self._begun = False
        self._width = _NAME

    def __enter__(self) -> Self:
        self._say(self._preparing)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        del error, at
        # An error before the start, such as missing images, stops nothing.
        if kind is not None and self._begun:
            self._say("stopped")

    def __call__(self, event: Event, view: RunView) -> None:
        now = self._progress.take(event, view)
        kind = event["event"]
        if kind in {"epoch", "worker_ready"}:
            self._waiting = ""
        if kind == "created":
            self._width = max(self._width, len(view.trials[event["trial"]].name))
        if kind in {"started", "resumed"}:
            self._begun = True
            self._width = max([self._width, *(len(trial.name) for trial in view.trials.values())])
            self._say(f"{kind} {now.run}: {_planned(now)}")
            self._say(images_line(view))
            for note in notes(view):
                self._say(f"note: {note}")
        elif kind == "epoch" and now.planned_trials == 1:
            self._say(_epoch(event["line"], now))
        elif kind in {COMPLETED, FAILED} and (kind == FAILED or now.planned_trials > 1):
            self._say(_ended(view.trials[event["trial"]], now, self._width))
        elif kind == "waiting":
            self._say_waiting(event["reason"])
        elif kind in _SAID:
            self._say(_SAID[kind](event, now, view))

    def _say_waiting(self, reason: str) -> None:
        if reason != self._waiting:
            self._say(f"waiting: {reason}")
        self._waiting = reason

    def _say(self, text: str) -> None:
        if self._silent:
            return
        try:
            click.echo(safe(text))
        except OSError:
            self._silent = True


def _planned(now: Snapshot) -> str:
    if now.planned_trials == 1:
        return counted(now.planned_epochs, "epoch") + (f", {now.epochs} done" if now.epochs else "")
    return counted(now.planned_trials, "trial") + (f", {now.trials} done" if now.trials else "")


def _left(now: Snapshot) -> str:
    if now.seconds_left is None or now.planned_epochs <= now.epochs:
        return ""
    return f"{roughly(now.seconds_left)} left{now.then}"


def _epoch(line: dict[str, Any], now: Snapshot) -> str:
    """Return the line of an epoch, for a run of one trial."""
    place = f"epoch {line['epoch']:>{len(str(now.planned_epochs))}} of {now.planned_epochs}"
    scores = f"loss {loss(line['loss'])}  {now.accuracy} {percent(line['val_accuracy']):>8}"
    return (
        f"{place}  {scores}  {duration(line['train_seconds'] + line['validation_seconds']):>12}  {_left(now)}".rstrip()
    )


def _ended(trial: Trial, now: Snapshot, names: int) -> str:
    """Return the line of an ended trial; `names`: characters of the longest name so far."""
    width = len(str(now.planned_trials))
    place = f"{now.trials:>{width}} of {now.planned_trials}  trial {trial.trial}"
    rung = f"  bracket {trial.bracket} rung {trial.rung}" if now.halving else ""
    what = f"{trial.name:<{names}} {count(trial.params):>7} parameters{rung}"
    if trial.status == FAILED:
        return f"{place}  {what}  failed: {trial.reason}"
    time = "reused" if not trial.was_trained else duration(trial.setup_seconds + trial.train_seconds)
    return f"{place}  {what}  epoch {trial.epochs:>3}  {percent(trial.score):>8}  {time:>12}  {_left(now)}".rstrip()


def _divided(event: Event) -> str:
    parts = f"each batch in {event['parts']} parts"
    return f"trial {event['trial']}: its batches do not fit into memory; restarting with {parts}"


_SAID: dict[str, Callable[[Event, Snapshot, RunView], str]] = {
    "lost": lambda event, *_: f"trial {event['trial']}: its worker {event['reason']}; continuing from its last epoch",
    "divided": lambda event, *_: _divided(event),
    "tracker_failed": lambda event, *_: f"note: {untold(event)}",
    "steered": lambda event, *_: f"request: {event['said']}",
    "extended": lambda _, now, __: f"extended {now.run}: {counted(now.planned_trials, 'trial')} in all",
    "stopped": lambda event, now, view: f"stopped {now.run} after {duration(view.seconds)}: {event['reason']}",
    "finished": lambda _, now, view: f"finished {now.run} after {duration(view.seconds)}",
}
