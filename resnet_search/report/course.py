"""What a report says of the search as it went: the best, the brackets, the failures, the budget."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from resnet_search.files import read_lines
from resnet_search.report.document import Block, Bullets, Code, Paragraph, Section, Table, Text
from resnet_search.report.units import counted, duration, large, moment, percent, standard_error
from resnet_search.runs.trials import COMPLETED, FAILED, RUNNING, RunView, Trial

TOP = 10
_MOST_ROWS = 50


def best(view: RunView) -> Section:
    """The best ten of the full budget, or before there are any, of the most epochs."""
    ranked = view.ranking()
    if not ranked:
        return Section("The best ten", (Paragraph("No trial has been trained for the full budget yet."),))
    images = int(view.content["data"]["validation"])
    top = ranked[:TOP]
    ties = Counter(trial.score for trial in ranked)
    rows = tuple(
        (
            f"{place}",
            Code(trial.trial),
            Code(trial.name),
            f"{trial.depth}",
            f"{trial.params:,}",
            large(trial.macs),
            percent(trial.score) + (" (tie)" if ties[trial.score] > 1 else ""),
        )
        for place, trial in enumerate(top, 1)
    )
    header = (
        "Place",
        "Trial",
        "Architecture",
        "Depth (layers)",
        "Parameters, trainable",
        "Multiply-adds of one image",
        "Validation accuracy",
    )
    blocks: list[Block] = [
        Paragraph(
            f"Of {counted(len(ranked), 'candidate')} trained for all {counted(view.max_epochs, 'epoch')}. "
            "Trials of fewer epochs are not compared with these."
        ),
        Table(header, rows, right=frozenset({0, 3, 4, 5, 6})),
    ]
    if any(ties[trial.score] > 1 for trial in top):
        blocks.append(Paragraph("Equal accuracies (tie) are in the order in which the search drew the candidates."))
    blocks += indistinct(ranked, images)
    return Section("The best ten", tuple(blocks))


def indistinct(ranked: list[Trial], images: int) -> list[Block]:
    """Which of the best cannot be told apart by these images."""
    near, error = near_the_first(ranked[:TOP], images)
    if not near:
        return []
    fewer = min([ranked[0], *near], key=lambda trial: trial.params)
    verb = "is" if len(near) == 1 else "are"
    text: tuple[str | Code, ...] = (
        f"{len(near)} of these {verb} within one standard error of a difference ({error * 100:.2f} percentage points) ",
        "of the first: by these images they cannot be told apart.",
    )
    if fewer is not ranked[0]:
        text += (f" The smallest among them is {fewer.params:,} parameters: trial ", Code(fewer.trial), ".")
    return [Paragraph(text)]


def near_the_first(ranked: list[Trial], images: int) -> tuple[list[Trial], float]:
    """Those within one standard error of a difference of the best, whose score is on so many images; that error."""
    score = ranked[0].score or 0.0
    # Two independent proportions of the same size.
    error = standard_error(score, images) * math.sqrt(2) if 0 < score < 1 else 0.0
    return [trial for trial in ranked[1:] if score - (trial.score or 0.0) <= error], error


def brackets(view: RunView) -> Section:
    """Each rung as planned and as run, and what failed."""
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
        "of them trained before",
        "Failed",
        "Open",
        "Best validation accuracy",
    )
    replaced = {(t.iteration, t.bracket, t.rung, t.slot): t for t in view.trials.values()}
    failed = [trial for trial in view.trials.values() if trial.status == FAILED]
    return Section(
        "Brackets, as planned and as run",
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
        f"{sum(trial.reused and trial.status == COMPLETED for trial in trials)}",
        f"{states[FAILED]}",
        f"{max(0, rung['size'] - states[COMPLETED])}",
        percent(max(scores)) if scores else "",
    )


def _failures(failed: list[Trial], last: dict[tuple[int, int, int, int], Trial]) -> Iterable[Block]:
    if not failed:
        yield Paragraph("No trial failed.")
        return
    yield Paragraph(f"{counted(len(failed), 'trial')} failed; another candidate takes the place of each in its rung:")
    rows = []
    for trial in failed[:_MOST_ROWS]:
        successor = last[trial.iteration, trial.bracket, trial.rung, trial.slot]
        replacement: Text = "not yet" if successor.status == FAILED else Code(successor.trial)
        rows.append((Code(trial.trial), Code(trial.name), Code(trial.reason), replacement))
    yield Table(("Trial", "Architecture", "Reason", "Replaced, in the end, by trial"), tuple(rows))
    if len(failed) > _MOST_ROWS:
        yield Paragraph(f"{len(failed) - _MOST_ROWS:,} more are in events.jsonl.")


def budget(view: RunView) -> Section:
    """What the search cost, against training every candidate to the end."""
    trials = view.trials.values()
    completed = [trial for trial in trials if trial.status == COMPLETED]
    epochs = sum(trial.trained_epochs for trial in completed)
    begun = sum(epochs_on_disk(view, trial) for trial in trials if trial.status in {FAILED, RUNNING})
    candidates = {trial.candidate for trial in trials}
    full = len(candidates) * view.max_epochs
    train, setup = (sum(getattr(trial, name) for trial in completed) for name in ("train_seconds", "setup_seconds"))
    besides = f", and {counted(begun, 'epoch')} in trials that failed or are not done" if begun else ""
    items: tuple[Text, ...] = (
        (
            f"{counted(epochs, 'epoch')} of training in {counted(len(completed), 'completed trial')}, of ",
            f"{counted(view.planned_epochs, 'epoch')} in {counted(view.planned_trials, 'trial')} planned{besides}.",
        ),
        (
            f"{duration(train)} of training and {duration(setup)} of preparing trials, all workers together; ",
            f"{duration(view.seconds)} on the clock, in {counted(len(view.sessions), 'session')}:",
        ),
    )
    blocks: list[Block] = [Bullets(items), _sessions(view)]
    if full > epochs > 0:
        blocks.append(
            Paragraph(
                f"Training all {counted(len(candidates), 'candidate')} to the end is {full:,} epochs, "
                f"{full / epochs:.1f} times as many, and at the speed measured here, candidate by candidate, "
                f"{duration(full_seconds(completed, view.max_epochs))} of training (an estimate)."
            )
        )
    return Section("What it cost", tuple(blocks))


def _sessions(view: RunView) -> Table:
    """The last sessions are shown where there are very many."""
    first = max(0, len(view.sessions) - _MOST_ROWS)
    rows = [
        (f"{number}", moment(begin), duration(end - begin))
        for number, (begin, end) in enumerate(view.sessions[first:], first + 1)
    ]
    return Table(("Session", "Start", "Length"), tuple(rows), right=frozenset({0, 2}))


def epochs_done(view: RunView) -> int:
    """Epochs of the plan that are trained: of completed trials, and those that trials still open have finished."""
    trials = view.trials.values()
    completed = sum(trial.trained_epochs for trial in trials if trial.status == COMPLETED)
    return completed + sum(epochs_on_disk(view, trial) for trial in trials if trial.status == RUNNING)


def epochs_on_disk(view: RunView, trial: Trial) -> int:
    """Epochs that a trial has finished, whatever became of it."""
    try:
        return len(read_lines(view.folder.trial(trial.trial) / "history.jsonl"))
    except (OSError, ValueError):
        return 0


def full_seconds(completed: list[Trial], epochs: int) -> float:
    """Seconds that all candidates of these trials would train for `epochs` each, at each one's own speed."""
    spent: dict[int, tuple[float, int]] = {}
    for trial in completed:
        if not trial.reused:
            seconds, trained = spent.get(trial.candidate, (0.0, 0))
            spent[trial.candidate] = (seconds + trial.train_seconds, trained + trial.trained_epochs)
    return sum(seconds / trained * epochs for seconds, trained in spent.values() if trained)
