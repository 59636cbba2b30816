"""What `run` and `resume` have in common: show the search, then the best trials, export, and say what comes next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from resnet_search.cli.session import Session, run_words
from resnet_search.cli.text import safe
from resnet_search.report.units import counted, duration

if TYPE_CHECKING:
    from resnet_search.runs.events import Event
    from resnet_search.runs.trials import RunView
    from resnet_search.search.loop import Observer

TOP = 10


def watch(session: Session, start: Callable[[Sequence[Observer]], RunView], *, preparing: str, quiet: bool) -> RunView:
    """Search, with a live view on a terminal, lines elsewhere, and nothing where it is to be quiet."""

    def begun(event: Event, view: RunView) -> None:
        del event, view
        session.begun = True

    if quiet:
        return start([begun])
    from resnet_search.cli.screen import console, is_terminal

    if is_terminal():
        from resnet_search.cli.live import LiveView

        with LiveView(console(), preparing) as live:
            return start([begun, live])
    from resnet_search.cli.plain import PlainLines

    with PlainLines(preparing) as lines:
        return start([begun, lines])


def conclude(session: Session, view: RunView, *, quiet: bool, export: bool) -> None:
    """Show what a finished search found, export it unless that was done, and say what comes next."""
    if not quiet:
        from resnet_search.cli.screen import show
        from resnet_search.cli.tables import line, trials_table

        done = sum(trial.status == "completed" for trial in view.trials.values())
        epochs = sum(trial.trained_epochs for trial in view.trials.values() if trial.status == "completed")
        show(
            [
                line(f"Searched {counted(done, 'trial')}, {counted(epochs, 'epoch')}, in {duration(view.seconds)}."),
                line(""),
            ]
        )
        show([trials_table(view.ranking()[:TOP], "Best at the full budget"), line("")])
    from resnet_search.cli.export import export_and_tell, exported, tell

    if exported(view.folder):
        tell(view.folder.path / "export", quiet=quiet)
    elif export:
        export_and_tell(view, None, None, quiet=quiet)
    elif quiet:
        click.echo(safe(view.folder.path))
    if quiet:
        return
    words, winner = run_words(view.folder.path, session.runs_dir), view.winner
    click.echo("\nNext:")
    click.echo(f"  resnet-search trials {words}")
    if winner is not None:
        name, *rest = words.split(" ", 1)
        click.echo(f"  resnet-search show {' '.join([name, winner.trial, *rest])}")
