"""What a candidate of a run has been trained to, and what it is trained to just now."""

from __future__ import annotations

from resnet_search.runs.trials import COMPLETED, RUNNING, RunView, Trial


def parent_of(view: RunView, candidate: int, epochs: int) -> tuple[Trial | None, bool]:
    """What a candidate's trial to `epochs` continues, and whether it was trained that far before."""
    trained = [trial for trial in view.of_candidate(candidate) if trial.status == COMPLETED and not trial.reused]
    beyond = [trial for trial in trained if trial.epochs >= epochs]
    if beyond:
        return min(beyond, key=lambda trial: trial.epochs), True
    return max(trained, key=lambda trial: trial.epochs, default=None), False


def trains_now(view: RunView, candidate: int, epochs: int) -> bool:
    """Whether a trial of a candidate runs, for no longer than another one to `epochs` would.

    What that trains is then there to go on from, and nobody trains it twice.
    """
    parent, reused = parent_of(view, candidate, epochs)
    missing = epochs - (parent.epochs if parent else 0)
    return not reused and any(
        trial.status == RUNNING and trial.epochs - trial.initial_epoch <= missing
        for trial in view.of_candidate(candidate)
    )
