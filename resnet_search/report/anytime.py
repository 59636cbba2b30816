"""The best score of a search so far, as a function of the epochs that it has trained."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from resnet_search.runs.trials import COMPLETED, RunView
from resnet_search.training.length import in_epochs


def best_so_far(view: RunView) -> list[tuple[float, float]]:
    """Return, after each completed trial, the epochs trained so far and the highest score so far.

    Scores of all rungs count. Known networks that are only compared with the search are left out, with their epochs.
    """
    done = [t for t in view.trials.values() if t.status == COMPLETED and view.is_ranked(t)]
    curve: list[tuple[float, float]] = []
    epochs, best = 0.0, 0.0
    for trial in sorted(done, key=lambda trial: trial.ended or 0.0):
        epochs = in_epochs(epochs + trial.trained_epochs)
        best = max(best, trial.score or 0.0)
        curve.append((epochs, best))
    return curve


def at(curve: Sequence[tuple[float, float]], epochs: float) -> float | None:
    """Return the value of such a curve after `epochs` epochs; None before its first point."""
    place = bisect_right(curve, epochs, key=lambda point: point[0])
    return curve[place - 1][1] if place else None
