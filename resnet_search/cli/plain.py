"""A search told in lines, for files, pipes and logs: one for each trial that ends, in fixed columns."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import click

from resnet_search.cli.progress import Progress, Snapshot
from resnet_search.cli.text import count, roughly, safe, score
from resnet_search.report.units import counted, duration
from resnet_search.runs.events import Event
from resnet_search.runs.trials import COMPLETED, FAILED, RunView, Trial


class PlainLines:
    """An observer that prints. Where nobody reads any more, it is silent: the search goes on."""

    def __init__(self, preparing: str) -> None:
        self._preparing = preparing
        self._progress = Progress()
        self._silent = False

    def __enter__(self) -> Self:
        self._say(self._preparing)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        del error, at
        if kind is not None:
            self._say("stopped")

    def __call__(self, event: Event, view: RunView) -> None:
        now = self._progress.take(event, view)
        kind = event["event"]
        if kind in {"started", "resumed"}:
            done = f", {now.trials} of them done" if now.trials else ""
            self._say(f"{kind} {now.run}: {counted(now.planned_trials, 'trial')}{done}")
            for note in view.content["data"]["notes"]:
                self._say(f"note: {note}")
        elif kind in {COMPLETED, FAILED}:
            self._say(_ended(view.trials[event["trial"]], now))
        elif kind == "lost":
            self._say(f"trial {event['trial']}: its worker ended with status {event['exit_code']}; it starts again")
        elif kind == "finished":
            self._say(f"finished {now.run} after {duration(view.seconds)}")

    def _say(self, text: str) -> None:
        if self._silent:
            return
        try:
            click.echo(safe(text))
        except OSError:
            self._silent = True


def _ended(trial: Trial, now: Snapshot) -> str:
    width = len(str(now.planned_trials))
    place = f"{now.trials:>{width}} of {now.planned_trials}  trial {trial.trial}"
    what = f"{trial.name:<24} {count(trial.params):>7} parameters  bracket {trial.bracket} rung {trial.rung}"
    if trial.status == FAILED:
        return f"{place}  {what}  failed: {trial.reason}"
    time = "reused" if trial.reused else duration(trial.setup_seconds + trial.train_seconds)
    left = (
        "" if now.seconds_left is None or not now.planned_epochs - now.epochs else f"{roughly(now.seconds_left)} left"
    )
    return f"{place}  {what}  epoch {trial.epochs:>3}  {score(trial.score)}  {time:>12}  {left}".rstrip()
