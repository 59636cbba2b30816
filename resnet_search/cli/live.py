"""The live view of a search on a terminal: progress, running trials and the best so far, in at most a screen."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from resnet_search.cli.grid import Column, Grid, Hanging
from resnet_search.cli.progress import Progress, Running, Snapshot
from resnet_search.cli.text import clock, count, loss, roughly, safe
from resnet_search.cli.tracking import untold
from resnet_search.cli.worth import images_line, notes
from resnet_search.report.units import counted, percent
from resnet_search.runs.events import Event
from resnet_search.runs.trials import COMPLETED, RunView, Trial

# Frames a second: faster flickers, slower looks dead.
_REFRESHES = 4
# Lines of the view without the running trials.
_FRAME_LINES = 12
_TIMES_WIDTH = 30  # of "3 min 12 s, under a minute left"
_NOTE = "Note: "


class LiveView:
    """An observer that draws. Used as a context, it leaves the terminal as it found it."""

    def __init__(self, console: Console, preparing: str) -> None:
        self._console = console
        self._preparing = preparing
        self._progress = Progress()
        # rich draws in its own thread, so it gets whole snapshots instead of a view in the middle of a change.
        self._now: Snapshot | None = None
        self._begun = time.time()
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=_REFRESHES, transient=True, screen=False
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        del kind, error, at
        self._live.stop()

    def __call__(self, event: Event, view: RunView) -> None:
        if event["event"] in {"started", "resumed"}:
            self._console.print(Hanging(images_line(view)))
            for note in notes(view):
                self._note(note)
        elif event["event"] == "tracker_failed":
            self._note(untold(event))
        self._now = self._progress.take(event, view)

    def _note(self, text: str) -> None:
        self._console.print(Hanging(f"{_NOTE}{text}", len(_NOTE)))

    def _draw(self) -> RenderableType:
        elapsed = clock(time.time() - self._begun)
        if self._now is None:
            return Text(f"{safe(self._preparing)} ({elapsed})", style="dim")
        return draw(self._now, time.time(), elapsed, self._console.height - _FRAME_LINES)


def draw(now: Snapshot, at: float, elapsed: str, rows: int) -> RenderableType:
    """Render a snapshot at time `at`, with at least one and at most `rows` running trials."""
    shown = now.running[: max(1, rows)]
    more = len(now.running) - len(shown)
    return Group(
        Text(safe(now.run), style="bold"),
        _overall(now, elapsed),
        *([Text(_counts(now))] if now.planned_trials > 1 else []),
        Text(),
        _running(shown, at, now),
        *([Text(f"and {more} more", style="dim")] if more > 0 else []),
        *([Text(f"Waiting: {safe(now.waiting)}", style="yellow")] if now.waiting else []),
        *([] if now.ready or now.waiting else [Text("Starting the worker process ...", style="dim")]),
        Text(),
        *_trials(now),
        Text("Ctrl-C stops; every finished epoch is kept.", style="dim"),
    )


def _overall(now: Snapshot, elapsed: str) -> RenderableType:
    left = "estimating" if now.seconds_left is None else f"{roughly(now.seconds_left)} left"
    row = Table.grid(padding=(0, 2, 0, 0), expand=True)
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, min_width=_TIMES_WIDTH)
    row.add_row(
        Text(f"{now.epochs:,} of {now.planned_epochs:,} epochs"),
        ProgressBar(total=max(1, now.planned_epochs), completed=now.epochs, style="bright_black"),
        Text(f"{elapsed}, {left}"),
    )
    return row


def _counts(now: Snapshot) -> str:
    replaced = " and replaced" if now.halving else ""  # A grid has no replacements.
    failed = f", {now.failed} failed{replaced}" if now.failed else ""
    return f"{now.trials:,} of {counted(now.planned_trials, 'trial')}{failed}{now.then}"


def _running(trials: tuple[Running, ...], at: float, now: Snapshot) -> RenderableType:
    rungs = [
        Column("bracket", [f"{trial.bracket}" for trial in trials], right=True, spare=2),
        Column("rung", [f"{trial.rung}" for trial in trials], right=True, spare=1),
    ]
    # Fixed widths: a table that moves all the time is hard to read.
    return Grid(
        [
            Column("trial", [trial.trial for trial in trials]),
            Column("architecture", [trial.name for trial in trials], least=24),
            *(rungs if now.halving else ()),
            Column("epoch", [f"{trial.epoch} of {trial.epochs}" for trial in trials], right=True, least=8),
            Column("loss", [loss(trial.loss) for trial in trials], right=True, least=6),
            Column(now.accuracy, [percent(trial.val_accuracy) for trial in trials], right=True),
            Column("time", [clock(at - trial.since) for trial in trials], right=True, spare=3, least=5),
            *_restarts(trials),
        ]
    )


def _restarts(trials: tuple[Running, ...]) -> Iterable[Column]:
    if any(trial.restarts for trial in trials):
        yield Column("restarts", [f"{trial.restarts}" for trial in trials], right=True, spare=4)


def _trials(now: Snapshot) -> Iterable[Text]:
    if now.best is not None and now.planned_trials > 1:
        yield Text("Best so far  ", style="dim", no_wrap=True, overflow="ellipsis").append(
            _told(now.best), style="not dim bold"
        )
    if now.last is not None and now.last is not now.best:
        yield Text("Last ended   ", style="dim", no_wrap=True, overflow="ellipsis").append(
            _told(now.last), style="not dim"
        )


def _told(trial: Trial) -> str:
    if trial.status != COMPLETED:
        return safe(f"{trial.trial} {trial.name} failed: {trial.reason}")
    return f"{percent(trial.score)}  epoch {trial.epochs}  {trial.trial} {trial.name}  {count(trial.params)} parameters"
