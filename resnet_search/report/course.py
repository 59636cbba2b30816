"""Report the course of a search: the best candidates, the brackets, the failures, the budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from resnet_search.files import read_lines
from resnet_search.report.document import Block, Bullets, Code, Paragraph, Section, Table, Text
from resnet_search.report.learning import learning
from resnet_search.report.ties import ties
from resnet_search.report.units import counted, duration, large, moment, percent
from resnet_search.runs.trials import COMPLETED, FAILED, RUNNING, RunView, Trial
from resnet_search.training.length import in_epochs, in_total

TOP = 10
_MOST_ROWS = 50


def best(view: RunView) -> Section:
    """List the best ten trials of the full budget; after a final training, the best ten by epochs and then accuracy."""
    finals = bool(view.content.get("stage"))
    ranked = view.standings() if finals else view.ranking()
    if not ranked:
        return Section("The best ten", (Paragraph("No trial has been trained for the full budget yet."),))
    ties = Counter((trial.epochs, trial.score) for trial in ranked)
    columns: dict[str, Callable[[Trial], Text]] = {
        "Trial": lambda trial: Code(trial.trial),
        "Architecture": lambda trial: Code(trial.name),
        "Depth (layers)": lambda trial: f"{trial.depth}",
        "Parameters, trainable": lambda trial: f"{trial.params:,}",
        "Multiply-adds of one image": lambda trial: large(trial.macs),
        **({"Epochs": lambda trial: f"{trial.epochs}"} if finals else {}),
        "Validation accuracy": lambda trial: (
            percent(trial.score) + (" (tie)" if ties[trial.epochs, trial.score] > 1 else "")
        ),
    }
    top = ranked[:TOP]
    rows = [(f"{place}", *(cell(trial) for cell in columns.values())) for place, trial in enumerate(top, 1)]
    intro = (
        f"The best of {counted(len(ranked), 'candidate')} trained for all {counted(view.max_epochs, 'epoch')}. "
        "Trials with fewer epochs are left out."
    )
    if finals:
        intro = f"The best of {counted(len(ranked), 'candidate')}, ranked by epochs and then by validation accuracy."
    right = frozenset({0, *range(3, len(columns) + 1)})
    blocks: list[Block] = [Paragraph(intro), Table(("Place", *columns), tuple(rows), right=right)]
    if any(ties[trial.epochs, trial.score] > 1 for trial in top):
        blocks.append(Paragraph("Candidates with equal accuracy (tie) are listed in the order they were drawn."))
    blocks += indistinct(view, view.ranking()) if view.ranking() else []
    return Section("The best ten", tuple(blocks))


def indistinct(view: RunView, ranked: list[Trial]) -> list[Block]:
    """Report which of the best candidates these images cannot distinguish from the first."""
    if learning(view).nothing:
        return [Paragraph("None of these is significantly better than chance, so their order means nothing.")]
    found = ties(view, ranked)
    if not found.tied:
        return []
    fewer = min([ranked[0], *found.tied], key=lambda trial: trial.params)
    verb = "is" if len(found.tied) == 1 else "are"
    shown = [Code(trial.trial) for trial in found.tied[:TOP]]
    listed = [piece for trial in shown for piece in (", ", trial)][1:]
    more = f" and {len(found.tied) - len(shown):,} more" if len(found.tied) > len(shown) else ""
    text: tuple[str | Code, ...] = (
        f"{counted(len(found.tied), 'other')} of the {found.compared:,} {verb} tied with the first ({found.test}): ",
        *listed,
        f"{more}.",
    )
    if fewer is not ranked[0]:
        text += (f" The smallest of these networks has {fewer.params:,} parameters: trial ", Code(fewer.trial), ".")
    return [Paragraph(text)]


def brackets(view: RunView) -> Section:
    """Compare each rung as planned and as run, and list the failures."""
    trials: dict[tuple[int, int, int], list[Trial]] = {}
    for trial in view.trials.values():
        trials.setdefault((trial.iteration, trial.bracket, trial.rung), []).append(trial)
    rows = []
    for bracket in view.content["plan"]:
        for rung in bracket["rungs"]:
            key = (bracket["iteration"], bracket["number"], rung["index"])
            rows.append(_rung(key, rung, trials.get(key, [])))
    header = (
        "Iteration / bracket / rung",
        "Epochs",
        "Trials planned",
        "Completed",
        "Reused",
        "Failed",
        "Open",
        "Best validation accuracy",
    )
    replaced = {(t.iteration, t.bracket, t.rung, t.slot): t for t in view.trials.values()}
    failed = [trial for trial in view.trials.values() if trial.status == FAILED]
    return Section(
        "Brackets: planned and run",
        (Table(header, tuple(rows), right=frozenset(range(2, 8))), *_failures(failed, replaced)),
    )


def _rung(key: tuple[int, int, int], rung: dict[str, Any], trials: list[Trial]) -> tuple[Text, ...]:
    states = Counter(trial.status for trial in trials)
    scores = [trial.score for trial in trials if trial.score is not None]
    return (
        " / ".join(map(str, key)),
        f"{rung['initial_epoch']} to {rung['epochs']}",
        f"{rung['size']}",
        f"{states[COMPLETED]}",
        f"{sum(not trial.was_trained and trial.status == COMPLETED for trial in trials)}",
        f"{states[FAILED]}",
        f"{max(0, rung['size'] - states[COMPLETED])}",
        percent(max(scores)) if scores else "",
    )


def _failures(failed: list[Trial], last: dict[tuple[int, int, int, int], Trial]) -> Iterable[Block]:
    if not failed:
        yield Paragraph("No trial failed.")
        return
    yield Paragraph(f"{counted(len(failed), 'trial')} failed. Another candidate replaces each in its rung:")
    rows = []
    for trial in failed[:_MOST_ROWS]:
        successor = last[trial.iteration, trial.bracket, trial.rung, trial.slot]
        replacement: Text = "not yet" if successor.status == FAILED else Code(successor.trial)
        rows.append((Code(trial.trial), Code(trial.name), Code(trial.reason), replacement))
    yield Table(("Trial", "Architecture", "Reason", "Finally replaced by trial"), tuple(rows))
    if len(failed) > _MOST_ROWS:
        yield Paragraph(f"{len(failed) - _MOST_ROWS:,} more are in events.jsonl.")


def budget(view: RunView) -> Section:
    """Compare the cost of the search with training every candidate for all epochs."""
    trials = view.trials.values()
    completed = [trial for trial in trials if trial.status == COMPLETED]
    epochs = in_total(trial.trained_epochs for trial in completed)
    planned = in_epochs(view.planned_epochs - view.saved_epochs)
    unfinished = in_total(epochs_on_disk(view, trial) for trial in trials if trial.status in {FAILED, RUNNING})
    candidates = {trial.candidate for trial in trials}
    full = len(candidates) * view.max_epochs
    train, setup = (sum(getattr(trial, name) for trial in completed) for name in ("train_seconds", "setup_seconds"))
    besides = f", and {counted(unfinished, 'epoch')} in trials that failed or are not finished" if unfinished else ""
    items: tuple[Text, ...] = (
        (
            f"{counted(epochs, 'epoch')} of training in {counted(len(completed), 'completed trial')}, of ",
            f"{counted(planned, 'epoch')} in {counted(view.planned_trials, 'trial')} planned{besides}.",
        ),
        (
            f"{duration(train)} of training and {duration(setup)} of preparing trials, summed over all workers; ",
            f"{duration(view.seconds)} of wall-clock time in {counted(len(view.sessions), 'session')}:",
        ),
    )
    blocks: list[Block] = [Bullets(items), _sessions(view)]
    if full > epochs > 0:
        blocks.append(
            Paragraph(
                f"Training all {counted(len(candidates), 'candidate')} for all epochs would take {full:,} epochs, "
                f"{full / epochs:.1f} times as many, and, at the speed measured for each candidate, about "
                f"{duration(full_seconds(completed, view.max_epochs))} of training."
            )
        )
    return Section("What it cost", tuple(blocks))


def _sessions(view: RunView) -> Table:
    """List the sessions; only the last ones if there are very many."""
    first = max(0, len(view.sessions) - _MOST_ROWS)
    rows = [
        (f"{number}", moment(begin), duration(end - begin))
        for number, (begin, end) in enumerate(view.sessions[first:], first + 1)
    ]
    return Table(("Session", "Start", "Length"), tuple(rows), right=frozenset({0, 2}))


def epochs_done(view: RunView) -> float:
    """Count the planned epochs trained so far, in completed and in running trials."""
    trials = view.trials.values()
    return in_total(
        trial.trained_epochs if trial.status == COMPLETED else epochs_on_disk(view, trial)
        for trial in trials
        if trial.status in {COMPLETED, RUNNING}
    )


def epochs_on_disk(view: RunView, trial: Trial) -> float:
    """Count the epochs that a trial has finished, whatever its status."""
    try:
        lines = read_lines(view.folder.trial(trial.trial) / "history.jsonl")
        return in_epochs(max(0, lines[-1]["epoch"] - trial.initial_epoch)) if lines else 0
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return 0


def full_seconds(completed: list[Trial], epochs: float) -> float:
    """Estimate the seconds to train every candidate of these trials for `epochs` epochs, each at its own speed."""
    spent: dict[int, tuple[float, float]] = {}
    for trial in completed:
        if trial.was_trained:
            seconds, trained = spent.get(trial.candidate, (0.0, 0.0))
            spent[trial.candidate] = (seconds + trial.train_seconds, trained + trial.trained_epochs)
    return sum(seconds / trained * epochs for seconds, trained in spent.values() if trained)
