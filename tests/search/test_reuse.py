"""What a candidate's next trial continues, and what it waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView
from resnet_search.search.reuse import parent_of, trains_now
from tests.runs.conftest import CONTENT, created

DONE, FAILED, RUNNING, REUSED = "completed", "failed", "running", "reused"


def view_of(*trials: tuple[str, int, int], candidate: int = 3) -> RunView:
    """A run in which one candidate has such trials, numbered from 0: their status, first and last epochs."""
    view = RunView(RunFolder(Path("none")), CONTENT)
    view.apply({"event": "started", "time": 0.0})
    for number, (status, first, last) in enumerate(trials):
        trial = f"{number:04d}"
        fields = created(trial, candidate, initial_epoch=first, epochs=last, reused=status == REUSED)
        view.apply({"event": "created", "time": 0.0, **fields})
        end = {"time": 0.0, "trial": trial, "score": 0.5, "setup_seconds": 0.0, "train_seconds": 0.0, "reason": "nan"}
        if status in {DONE, REUSED}:
            view.apply({"event": "completed", **end})
        elif status == FAILED:
            view.apply({"event": "failed", **end})
    return view


@pytest.mark.parametrize(
    ("trials", "epochs", "parent", "reused"),
    [
        ([], 3, None, False),
        ([(DONE, 0, 3)], 9, "0000", False),
        ([(DONE, 0, 1), (DONE, 1, 3)], 9, "0001", False),
        ([(DONE, 0, 3), (DONE, 0, 1)], 9, "0000", False),
        ([(DONE, 0, 3)], 3, "0000", True),
        ([(DONE, 0, 3)], 2, "0000", True),
        ([(DONE, 0, 9), (DONE, 0, 3), (DONE, 0, 1)], 2, "0001", True),
        ([(DONE, 0, 1), (DONE, 1, 3), (DONE, 3, 9)], 2, "0001", True),
        ([(RUNNING, 0, 9)], 3, None, False),
        ([(FAILED, 0, 9)], 3, None, False),
        ([(DONE, 0, 1), (FAILED, 1, 9), (RUNNING, 1, 9)], 3, "0000", False),
        ([(DONE, 0, 3), (REUSED, 3, 3)], 3, "0000", True),
        ([(DONE, 0, 9), (REUSED, 3, 3)], 3, "0000", True),
        ([(DONE, 0, 1), (REUSED, 3, 3)], 9, "0000", False),
    ],
)
def test_a_trial_continues_the_training_that_comes_closest_to_its_end(trials, epochs, parent, reused):
    trial, was_trained_so_far = parent_of(view_of(*trials), 3, epochs)
    assert (trial and trial.trial, was_trained_so_far) == (parent, reused)


@pytest.mark.parametrize(
    ("trials", "epochs", "waits"),
    [
        ([], 3, False),
        ([(RUNNING, 0, 1)], 1, True),
        ([(RUNNING, 0, 1)], 3, True),
        ([(RUNNING, 0, 3)], 3, True),
        ([(RUNNING, 0, 9)], 3, False),
        ([(RUNNING, 0, 2)], 1, False),
        ([(RUNNING, 0, 9), (RUNNING, 0, 3)], 3, True),
        ([(DONE, 0, 3), (RUNNING, 3, 9)], 9, True),
        ([(DONE, 0, 3), (RUNNING, 3, 9)], 6, False),
        ([(DONE, 0, 3), (RUNNING, 3, 9)], 3, False),
        ([(DONE, 0, 9), (RUNNING, 9, 9)], 9, False),
        ([(FAILED, 0, 1)], 3, False),
        ([(DONE, 0, 1)], 3, False),
    ],
)
def test_a_trial_waits_for_one_that_trains_its_candidate_no_longer_than_it_would(trials, epochs, waits):
    assert trains_now(view_of(*trials), 3, epochs) is waits


def test_other_candidates_are_of_no_use():
    view = view_of((DONE, 0, 9), (RUNNING, 0, 1), candidate=4)
    assert parent_of(view, 3, 9) == (None, False)
    assert not trains_now(view, 3, 1)
