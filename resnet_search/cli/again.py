"""What `confirm` and `train RUN` share: start or continue a run that follows from another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.session import Session, run_words
from resnet_search.cli.text import safe
from resnet_search.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resnet_search.runs.trials import RunView
    from resnet_search.search.after import AgainSettings
    from resnet_search.search.budget import Budget
    from resnet_search.search.loop import Observer

_SETTINGS = ("recipe", "epochs", "workers", "threads", "device", "hang_timeout")


def source_of(session: Session, run: str, runs_dir: Path, verb: str) -> RunView:
    """Return the run that a command follows up; it must not be training now."""
    from resnet_search.runs.after import CONFIRM, FINAL, put_back
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    view = read_run(find_run(run, runs_dir))
    if view.content.get("of"):
        raise UsageError(
            f"RUN: got {run!r}, which itself follows from a search; allowed: a search",
            f"resnet-search {verb} {run_words(view.folder.path.parent, runs_dir)}",
        )
    if view.state == "running":
        raise RunError(
            f"{view.folder.name}: is still searching", f"Wait, or stop it: resnet-search stop {view.folder.word}"
        )
    for kind in (CONFIRM, FINAL):
        put_back(view.folder.path / kind)
    session.folder, session.runs_dir, session.verb = view.folder.path, runs_dir, verb
    return view


def take_settings(options: dict[str, Any]) -> AgainSettings:
    """Remove the options about retraining from `options` and return them as settings."""
    from resnet_search.search.after import AgainSettings

    return AgainSettings(**{name: options.pop(name) for name in _SETTINGS})


def begin_or_go_on(
    session: Session,
    view: RunView,
    kind: str,
    start: Callable[[Sequence[Observer]], RunView],
    *,
    given: dict[str, Any],
    settings: AgainSettings,
    discard: bool,
    budget: Budget,
    quiet: bool,
) -> RunView:
    """`start` the run that follows from another, or continue an existing one whose settings agree with `given`.

    discard: whether `start` is to remove an existing one.
    """
    from resnet_search.cli.searching import watch
    from resnet_search.runs.after import following
    from resnet_search.search.after import check_free, go_on

    there = None if discard else following(view.folder, kind)
    if there is None:
        check_free(view, kind, discard=discard)
        preparing = f"Reading {view.content['data']['source']} and starting the training backend ..."
        return watch(session, start, preparing=preparing, quiet=quiet)
    _refuse(there, given)
    if there.state == "running":
        raise there.folder.in_use()
    if there.state == "finished":
        return there
    preparing = f"Resuming {there.folder.path}: starting the training backend ..."
    return watch(
        session,
        lambda observers: go_on(there.folder, settings, observers, budget=budget),
        preparing=preparing,
        quiet=quiet,
    )


def report_again(view: RunView, *, quiet: bool) -> None:
    """Update the reports of a search with the runs that followed it; a failure is only printed."""
    from resnet_search.export.folder import REPORT
    from resnet_search.export.found import exported_of
    from resnet_search.files import write_text
    from resnet_search.report.content import report_of
    from resnet_search.report.markdown import to_markdown
    from resnet_search.report.written import write_report
    from resnet_search.runs.exports import BEST, is_current

    try:
        exported = exported_of(view)
        page, _ = write_report(view, None, exported)
        if is_current(view) and exported is not None:
            write_text(view.folder.path / BEST / REPORT, to_markdown(report_of(view, None, exported)))
    except Exception as error:  # noqa: BLE001 - any failure concerns only the report
        click.echo(safe(f"The report of {view.folder.name} could not be updated: {error}"), err=True)
        return
    if not quiet:
        click.echo(f"\n{'Report':<12}{safe(page)}")


def _refuse(there: RunView, given: dict[str, Any]) -> None:
    """Raise a `UsageError` that lists the options in `given` that differ from the existing run; None: not given."""
    differences = [f"  {option}: got {now}; it has {was}" for option, now, was in _compared(there, given) if now != was]
    if differences:
        raise UsageError(
            "\n".join([f"RUN: {there.folder.path} was started with other settings:", *differences]),
            "Leave them out to continue it, or start again from scratch with --discard.",
        )


def _compared(there: RunView, given: dict[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    of, content = there.content["of"], there.content
    has = {
        "top": len(of["trials"]),
        "seeds": of["seeds"],
        "trial": of["trials"][0],
        "recipe": content["recipe"]["name"],
        "epochs": there.max_epochs,
        "all_images": content["data"]["train_examples"] is None,
    }
    return [(f"--{name.replace('_', '-')}", value, has[name]) for name, value in given.items() if value is not None]
