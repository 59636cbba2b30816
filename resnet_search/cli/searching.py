"""What `run`, `train` and `resume` share: show the training and its best trials, export, suggest the next commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.budget import take_budget
from resnet_search.cli.session import Session, run_words
from resnet_search.cli.text import safe
from resnet_search.cli.tracking import looks
from resnet_search.cli.worth import best_lines, nothing_learnt, of_images
from resnet_search.errors import NameTakenError, TrainingError
from resnet_search.report.course import epochs_done, epochs_on_disk
from resnet_search.report.facts import facts_of
from resnet_search.report.kind import is_final, is_grid, is_single, network_count
from resnet_search.report.learning import CURES, learning
from resnet_search.report.units import counted, duration
from resnet_search.training.job import FAILURE

if TYPE_CHECKING:
    from resnet_search.runs.events import Event
    from resnet_search.runs.trials import RunView
    from resnet_search.search.loop import Observer
    from resnet_search.spaces.plan import Plan
    from resnet_search.spaces.space import SearchSpace

TOP = 10


def begin(
    session: Session,
    space: SearchSpace,
    plan: Plan,
    lines: Callable[[], Iterable[str]],
    options: dict[str, Any],
    *,
    quiet: bool,
    export: bool,
) -> None:
    """Start a run of a space, train it to the end and export it. `lines` yields what is printed before the start."""
    from resnet_search.cli.process import outlive_reader
    from resnet_search.runs.folder import default_name

    outlive_reader()
    given, runs_dir, data_dir = options.pop("name"), options["runs_dir"], options["data_dir"]
    _check(space, given, runs_dir, data_dir)
    name = given or default_name(space.name, runs_dir)
    session.folder, session.runs_dir = runs_dir / name, runs_dir
    if not quiet:
        from resnet_search.cli.grid import Hanging
        from resnet_search.cli.screen import show

        show([*map(Hanging, lines()), ""])
    budget = take_budget(options)
    # Imported late, since it imports numpy.
    from resnet_search.search.start import SearchSettings, run_search

    settings = SearchSettings(**options)

    def start(observers: Sequence[Observer]) -> RunView:
        nonlocal name
        while True:
            try:
                return run_search(space, replace(settings, name=name), observers, budget=budget)
            except NameTakenError:
                if given:
                    raise
                # Another run started in the same second has taken the name.
                name = default_name(space.name, runs_dir)
                session.folder = runs_dir / name

    view = watch(session, start, preparing=_preparing(space, plan, data_dir), quiet=quiet)
    conclude(session, view, quiet=quiet, export=export)


def _check(space: SearchSpace, name: str | None, runs_dir: Path, data_dir: Path | None) -> None:
    """Raise errors that are known before anything is printed or read."""
    from resnet_search.errors import RunError
    from resnet_search.runs.doctor import not_writable
    from resnet_search.runs.folder import name_taken
    from resnet_search.training.datasets import check_source

    reason = not_writable(runs_dir)
    if reason:
        raise RunError(f"--runs-dir: got {str(runs_dir)!r}, but {reason}", "Choose a folder you can write to.")
    if name is not None and (runs_dir / name).exists():
        raise name_taken(runs_dir, name)
    check_source(space.data.source, data_dir)


def _preparing(space: SearchSpace, plan: Plan, data_dir: Path | None) -> str:
    """Describe the preparations before the training."""
    from resnet_search.search.pretrained import sources_of_space
    from resnet_search.training.datasets import describe_source

    absent = [source for source in sources_of_space(space, plan) if not source.path.exists()]
    size = sum(source.megabytes for source in absent)
    weights = f"Downloading {size} MB of ImageNet weights, " if absent else ""
    reading = "Downloading" if describe_source(space.data.source, data_dir).kind == "download" else "Reading"
    return (
        f"{weights}{reading.lower() if absent else reading} {space.data.source} and starting the training backend ..."
    )


def watch(session: Session, start: Callable[[Sequence[Observer]], RunView], *, preparing: str, quiet: bool) -> RunView:
    """Search, with a live view on a terminal, plain lines elsewhere, and no output if quiet."""
    from resnet_search.cli.process import outlive_reader

    def begun(event: Event, view: RunView) -> None:
        del event, view
        session.begun = True

    outlive_reader()
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
    """Show the result of a run, export it if not done before, and suggest the next commands."""
    from resnet_search.cli.export import exported

    best = view.leader
    if best is None and view.state == "finished":
        raise _nothing_trained(view)
    if not quiet:
        _show_result(view)
    words = run_words(view.folder.path, session.runs_dir)
    there = exported(view)
    shown = there or (export and best is not None)
    if shown:
        _hand_over(view, words, there=there, quiet=quiet)
    elif quiet:
        click.echo(safe(view.folder.path))
    if quiet:
        return
    click.echo("\nNext:" if shown else "Next:")
    for command in _next(session, view, words):
        click.echo(f"  resnet-search {command}")
    for look in looks(view):
        click.echo(f"  {safe(look)}")


def _next(session: Session, view: RunView, words: str) -> Iterable[str]:
    """Yield the commands that make sense next."""
    best = view.leader
    if view.state != "finished":
        yield f"{session.verb} {run_words(session.folder or view.folder.path, session.runs_dir)}{session.workers}"
    if not is_single(view):
        yield f"trials {words}"
    if best is not None:
        yield f"show {words} {best.trial}"
    if view.state == "finished" and not is_grid(view):
        yield from _to_final(view, session.runs_dir)
    elif view.state == "finished" and is_single(view):
        yield from _with_export(view, words)


def _to_final(view: RunView, runs_dir: Path) -> Iterable[str]:
    """Yield the next step after a finished search: confirm, train, or use the final network."""
    from resnet_search.runs.after import CONFIRM, FINAL, following

    words = run_words(view.folder.path, runs_dir)
    if learning(view).nothing:
        return
    facts = facts_of(view)
    confirmed, final = following(view.folder, CONFIRM), following(view.folder, FINAL)
    if facts.confirmed is not None and facts.confirmed.outdated:
        yield f"confirm {words} --discard"
    elif facts.full is not None and facts.full.outdated:
        yield f"train {words} --discard"
    elif final is not None and final.state == "finished":
        yield from _with_export(final, run_words(final.folder.path, runs_dir))
    elif final is not None or (confirmed is not None and confirmed.state == "finished"):
        yield f"train {words}"
    else:
        yield f"confirm {words}"


def _with_export(view: RunView, words: str) -> Iterable[str]:
    """Yield the commands that use an exported network."""
    from resnet_search.cli.export import exported

    if exported(view):
        yield f"predict {words} new-images/"
        yield f"export {words} --format onnx"


def _hand_over(view: RunView, words: str, *, there: bool, quiet: bool) -> None:
    """Write the SavedModel, unless it exists or TensorFlow is missing, and the report."""
    from resnet_search.cli.export import export_and_tell, held_formats, tell, tell_test
    from resnet_search.cli.report import page_and_tell
    from resnet_search.cli.without_tensorflow import can_export, tell_unexported
    from resnet_search.runs.exports import BEST

    if there:
        tell(view.folder.path / BEST, quiet=quiet)
        if not quiet:
            tell_test(view)
    elif can_export():
        told = (learning(view).words, CURES)
        export_and_tell(view, None, None, quiet=quiet, told=told, formats=held_formats(view))
    elif not quiet:
        tell_unexported(view, words)
    page_and_tell(view, quiet=quiet)


def _nothing_trained(view: RunView) -> TrainingError:
    last = max((trial for trial in view.trials.values() if trial.reason), key=lambda trial: trial.trial, default=None)
    if last is None:
        return TrainingError(
            f"{view.folder.name} has ended without a result", "resnet-search doctor checks the machine for causes."
        )
    what = "could not be trained" if is_single(view) else "was the last to fail, and none could be trained"
    return TrainingError(
        f"{last.name} {what}: {last.reason}",
        f"The details: {view.folder.trial(last.trial) / FAILURE}. If the loss is not finite, use a lower learning "
        f"rate; if the machine was the cause: resnet-search resume {view.folder.word} --retry-failed",
    )


def _show_result(view: RunView) -> None:
    from resnet_search.cli.grid import Hanging
    from resnet_search.cli.screen import show
    from resnet_search.cli.tables import line, trials_table

    show([line(_done(view)), line("")])
    if not is_single(view):
        title = "Best first" if is_grid(view) else "Best at the full budget"
        ranking = view.ranking()[:TOP]
        if view.content.get("stage"):
            title, ranking = "By epochs, then by validation accuracy", view.standings()[:TOP]
        none = line(f"No trial has trained for all {counted(view.max_epochs, 'epoch')} yet.")
        show([trials_table(ranking, title, halving=not is_grid(view), status=False) if ranking else none])
        show([*map(Hanging, best_lines(view)), line("")])
    else:
        show(map(Hanging, nothing_learnt(view)))


def _done(view: RunView) -> str:
    """Summarize what was trained in one or two sentences."""
    stopped = f" Stopped before the end of the plan: {view.stopped}." if view.state == "stopped" else ""
    return f"{_trained(view)} in {duration(view.seconds)}{_accuracy(view)}.{stopped}"


def _trained(view: RunView) -> str:
    trials = list(view.trials.values())
    each, ranked = counted(view.max_epochs, "epoch"), view.ranking()
    if is_single(view) and ranked:
        return f"Trained {ranked[0].name} for {each}"
    if is_single(view) and trials:
        return (
            f"Trained {trials[-1].name} for {trials[-1].initial_epoch + epochs_on_disk(view, trials[-1]):,} of {each}"
        )
    if is_grid(view):
        return f"Trained {len(ranked):,} of {counted(network_count(view), 'network')} for {each}"
    return f"Searched {counted(view.completed, 'trial')}, {counted(epochs_done(view), 'epoch')},"


def _accuracy(view: RunView) -> str:
    if not is_single(view) or view.winner is None or is_final(view):
        return ""
    return f": {of_images(view.winner.score, int(view.content['data']['validation']))}"
