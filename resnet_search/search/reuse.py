"""How far a candidate of a run has been trained, and how far it is being trained now."""

from __future__ import annotations

from resnet_search.runs.trials import COMPLETED, RUNNING, RunView, Trial


def parent_of(view: RunView, candidate: int, epochs: float) -> tuple[Trial | None, bool]:
    """Return the trial that a candidate's trial to `epochs` continues, and whether it was trained that far before."""
    trained = [trial for trial in view.of_candidate(candidate) if trial.status == COMPLETED and not trial.reused]
    beyond = [trial for trial in trained if trial.epochs >= epochs]
    if beyond:
        return min(beyond, key=lambda trial: trial.epochs), True
    return max(trained, key=lambda trial: trial.epochs, default=None), False


def trains_now(view: RunView, candidate: int, epochs: float) -> bool:
    """Return whether a trial of a candidate is running that ends no later than one to `epochs` would.

    A later trial can then continue from it, so that no epoch is trained twice.
    """
    parent, reused = parent_of(view, candidate, epochs)
    missing = epochs - (parent.epochs if parent else 0)
    return not reused and any(
        trial.status == RUNNING and trial.epochs - trial.initial_epoch <= missing
        for trial in view.of_candidate(candidate)
    )
