"""Read the data of the plots once: the candidates of a run and their learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resnet_search.errors import RunError
from resnet_search.report.document import Code, Text
from resnet_search.runs.trials import COMPLETED, RunView, Trial
from resnet_search.training.length import in_epochs

Curve = dict[float, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """`trials`: the completed trial with the most epochs of each candidate of the search, oldest first.

    `curves`: the validation accuracy of each candidate by epoch. `unread`: candidates whose files cannot be read.
    `promoting`: what decided promotions by epoch, higher first: the accuracies, or the losses with a minus sign.
    `rungs`: the epochs at which candidates were compared, ascending.
    """

    view: RunView
    trials: dict[int, Trial]
    curves: dict[int, Curve]
    promoting: dict[int, Curve]
    unread: int
    rungs: tuple[float, ...]

    def scores_at(self, epochs: float) -> dict[int, float]:
        """Return the accuracy after `epochs` epochs of each candidate that was trained that far."""
        return _at(self.curves, epochs)

    def promoting_at(self, epochs: float) -> dict[int, float]:
        """Return what decided the promotion after `epochs` epochs of each candidate that was trained that far."""
        return _at(self.promoting, epochs)


def _at(curves: dict[int, Curve], epochs: float) -> dict[int, float]:
    return {number: curve[epochs] for number, curve in curves.items() if epochs in curve}


def read(view: RunView) -> Reading:
    """Read the histories of a run's candidates, without the known networks."""
    trials: dict[int, Trial] = {}
    for trial in view.trials.values():
        if trial.status == COMPLETED and not view.is_baseline(trial):
            known = trials.get(trial.candidate)
            if known is None or trial.epochs > known.epochs:
                trials[trial.candidate] = trial
    curves = {number: _curve(view, trial, "val_accuracy") for number, trial in trials.items()}
    unread = sum(not curve for curve in curves.values())
    curves = {number: curve for number, curve in curves.items() if curve}
    promoting = curves
    if view.promotes_by_loss:
        losses = {number: _curve(view, trials[number], "val_loss") for number in curves}
        promoting = {number: {epoch: -loss for epoch, loss in curve.items()} for number, curve in losses.items()}
    ends = {in_epochs(rung["epochs"]) for bracket in view.content["plan"] for rung in bracket["rungs"]}
    return Reading(view, trials, curves, promoting, unread, tuple(sorted(ends)))


def _curve(view: RunView, trial: Trial, metric: str) -> Curve:
    try:
        lines: Iterable[dict[str, Any]] = view.history(trial)
        curve = {in_epochs(line["epoch"]): float(line[metric]) for line in lines}
    except (RunError, LookupError, TypeError, ValueError):
        return {}
    return {epoch: value for epoch, value in curve.items() if math.isfinite(value)}


def named(trial: Trial) -> Text:
    """Name a trial in a sentence."""
    return (Code(trial.name), f" (trial {trial.trial})")
