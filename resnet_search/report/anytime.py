"""How good a search is at any time: the best score so far against the epochs that it has trained."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from resnet_search.runs.trials import COMPLETED, RunView


def best_so_far(view: RunView) -> list[tuple[int, float]]:
    """After each completed trial: epochs trained by all that had ended by then, and the highest score among them.

    Scores of any rung: what a network reaches after few epochs it has reached. Known networks beside the search are
    left out, with their epochs.
    """
    done = [t for t in view.trials.values() if t.status == COMPLETED and not view.is_baseline(t)]
    curve: list[tuple[int, float]] = []
    epochs, best = 0, 0.0
    for trial in sorted(done, key=lambda trial: trial.ended or 0.0):
        epochs += trial.trained_epochs
        best = max(best, trial.score or 0.0)
        curve.append((epochs, best))
    return curve


def at(curve: Sequence[tuple[int, float]], epochs: int) -> float | None:
    """The value of such a curve after so many epochs, None before its first."""
    place = bisect_right(curve, epochs, key=lambda point: point[0])
    return curve[place - 1][1] if place else None
