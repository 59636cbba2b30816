"""Read the data of the plots once: the candidates of a run and their learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resnet_search.errors import RunError
from resnet_search.report.document import Code, Text
from resnet_search.runs.trials import COMPLETED, RunView, Trial

Curve = dict[int, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """`trials`: the completed trial with the most epochs of each candidate of the search, in order of creation.

    `curves`: the validation accuracy of each candidate by epoch. `unread`: candidates whose files cannot be read.
    `rungs`: the epochs at which candidates were compared, ascending.
    """

    view: RunView
    trials: dict[int, Trial]
    curves: dict[int, Curve]
    unread: int
    rungs: tuple[int, ...]

    def scores_at(self, epochs: int) -> dict[int, float]:
        """Return the accuracy after `epochs` epochs of each candidate that was trained that far."""
        return {number: curve[epochs] for number, curve in self.curves.items() if epochs in curve}


def read(view: RunView) -> Reading:
    """Read the histories of a run's candidates, without the known networks."""
    trials: dict[int, Trial] = {}
    for trial in view.trials.values():
        if trial.status == COMPLETED and not view.is_baseline(trial):
            known = trials.get(trial.candidate)
            if known is None or trial.epochs > known.epochs:
                trials[trial.candidate] = trial
    curves = {number: _curve(view, trial) for number, trial in trials.items()}
    unread = sum(not curve for curve in curves.values())
    ends = {int(rung["epochs"]) for bracket in view.content["plan"] for rung in bracket["rungs"]}
    return Reading(view, trials, {number: curve for number, curve in curves.items() if curve}, unread,
                   tuple(sorted(ends)))  # fmt: skip


def _curve(view: RunView, trial: Trial) -> Curve:
    try:
        lines: Iterable[dict[str, Any]] = view.history(trial)
        curve = {int(line["epoch"]): float(line["val_accuracy"]) for line in lines}
    except (RunError, LookupError, TypeError, ValueError):
        return {}
    return {epoch: value for epoch, value in curve.items() if math.isfinite(value)}


def named(trial: Trial) -> Text:
    """Name a trial in a sentence."""
    return (Code(trial.name), f" (trial {trial.trial})")
