"""`train RUN`: train the winner of a search on all its images, export it, and measure it once on the test images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.again import begin_or_go_on, report_again, source_of, take_settings
from resnet_search.cli.budget import take_budget
from resnet_search.cli.session import Session
from resnet_search.errors import ExportError, RunError
from resnet_search.report.units import counted

if TYPE_CHECKING:
    from resnet_search.runs.trials import RunView, Trial


def train_winner(
    session: Session, run: str, *, runs_dir: Path, trial: str | None, all_images: bool, discard: bool, quiet: bool,
    export: bool, options: dict[str, Any],
) -> None:  # fmt: skip
    """Train the best candidate of a run, or that of `trial`, in full; continue the training if it was started."""
    from resnet_search.cli.searching import conclude
    from resnet_search.runs.after import FINAL, following

    view = source_of(session, run, runs_dir, "train")
    budget, settings = take_budget(options), take_settings(options)
    chosen = _chosen(view, trial)
    given = {
        "trial": None if trial is None else chosen.trial,
        "recipe": settings.recipe,
        "epochs": settings.epochs,
        "all_images": all_images or None,
    }

    def start(observers: Any) -> RunView:
        from resnet_search.search.after import final_run

        return final_run(view, chosen, settings, observers, all_images=all_images, discard=discard, budget=budget)

    # Before the live view starts, which owns the terminal from then on.
    if not quiet and (discard or following(view.folder, FINAL) is None):
        _warn_unconfirmed(view, trial)
        click.echo(f"Network    {chosen.name}, trial {chosen.trial} of {view.folder.name}\n")
    done = begin_or_go_on(
        session, view, FINAL, start, given=given, settings=settings, discard=discard, budget=budget, quiet=quiet
    )
    conclude(session, done, quiet=quiet, export=export)
    if not quiet:
        _note_other(view, chosen)
    report_again(view, quiet=quiet)


def _warn_unconfirmed(view: RunView, trial: str | None) -> None:
    """Note that a confirmation is unfinished or outdated and chooses nothing, unless the trial was named."""
    from resnet_search.cli.grid import Hanging
    from resnet_search.cli.screen import show
    from resnet_search.report.facts import confirmed_of
    from resnet_search.runs.after import CONFIRM, following

    again, found = following(view.folder, CONFIRM), confirmed_of(view)
    if trial is None and found is not None and found.outdated:
        show([Hanging(f"Note       its confirmation is outdated, so this trains the best trial now. {found.outdated}")])
    elif trial is None and again is not None and again.state != "finished":
        state = "under way" if again.state == "running" else "unfinished"
        done = f"{again.completed:,} of {counted(again.planned_trials, 'network')}"
        show([Hanging(f"Note       its confirmation is {state}, {done}: this trains the best of the search instead")])


def _note_other(view: RunView, chosen: Trial) -> None:
    """Note that the network was trained before, and that another one is the best now."""
    from resnet_search.cli.grid import Hanging
    from resnet_search.cli.screen import show
    from resnet_search.report.facts import facts_of

    full = facts_of(view).full
    if full is not None and full.source.candidate != chosen.candidate:
        what = (
            f"This is trial {full.source.trial}, trained before; the best is now trial {chosen.trial}, {chosen.name}."
        )
        cure = f"Train that in full: resnet-search train {view.folder.word} --discard"
        show([Hanging(f"Note       {full.outdated or what} {cure}")])


def _chosen(view: RunView, trial: str | None) -> Trial:
    """Return the trial named; else the best of a finished confirmation of the search as it is now; else the winner."""
    from resnet_search.report.facts import confirmed_of

    if trial is not None:
        found = view.find(trial)
        if found.status != "completed":
            raise ExportError(
                f"--trial: got {found.trial!r}, which is {found.status}; allowed: a completed trial",
                f"resnet-search trials {view.folder.word} --status completed lists them.",
            )
        return found
    again = confirmed_of(view)
    if again is not None and again.counts and again.found.best is not None:
        return view.trials[again.found.best.trial]
    if view.winner is None:
        raise RunError(
            f"RUN: got {view.folder.name!r}, where no trial has trained for all {view.max_epochs} epochs yet",
            f"Continue it: resnet-search resume {view.folder.word}",
        )
    return view.winner
