"""Tied means a stated test: image by image where the answers are kept, by the two shares otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resnet_search.report.ties import PAIRED, UNPAIRED, p_of, ties
from resnet_search.runs.answers import answers_of
from resnet_search.runs.trials import RunView
from resnet_search.training.job import ANSWERS
from tests.faults.table import fault
from tests.report.conftest import Events, make_content

MakeView = Callable[..., RunView]
IMAGES = 1000


def view_of(make_view: MakeView, *scores: float, **content: Any) -> RunView:
    run = Events()
    for number, score in enumerate(scores):
        run.create(number, number, (0, 0, 0), (0, 3), slot=number)
        run.complete(number, score)
    return make_view(run, {**make_content(), **content})


def answer(view: RunView, trial: str, right: range, *more: int) -> None:
    bits = sum(1 << image for image in {*right, *more})
    (view.folder.trial(trial) / ANSWERS).write_bytes(bits.to_bytes((IMAGES + 7) // 8, "little"))


def test_without_answers_the_shares_are_compared(make_view: MakeView) -> None:
    """0.80 against 0.77: z = 1.64; against 0.74: z = 3.2, which three pairs leave significant."""
    view = view_of(make_view, 0.80, 0.77, 0.74)
    found = ties(view, view.ranking())
    assert [trial.trial for trial in found.tied] == ["0001"]
    assert found.test.startswith(UNPAIRED)
    assert "3 pairs" in found.test


@fault(
    "numbers",
    "Two candidates differ by less than their validation images can show",
    here="tied by McNemar's exact test at 5 % on the answers to the same images, which each trial keeps, or without "
    "answers by the two-proportion z test; the report names the test and the smallest of the tied networks",
)
def test_answers_to_the_same_images_show_smaller_differences(make_view: MakeView) -> None:
    """The second network is wrong on 30 more images and never right alone: 30 against 0 is no chance."""
    view = view_of(make_view, 0.80, 0.77)
    answer(view, "0000", range(800))
    answer(view, "0001", range(770))
    found = ties(view, view.ranking())
    assert found.tied == ()
    assert found.test == f"{PAIRED} at 5 %"
    p, test = p_of((view, view), (view.trials["0000"], view.trials["0001"]))
    assert (p, test) == (pytest.approx(2**-29), PAIRED)


def test_answers_that_differ_everywhere_leave_a_tie(make_view: MakeView) -> None:
    view = view_of(make_view, 0.52, 0.50)
    answer(view, "0000", range(520))
    answer(view, "0001", range(500, 1000))
    assert [trial.trial for trial in ties(view, view.ranking()).tied] == ["0001"]


@pytest.mark.parametrize("size", [0, 124, 126])
def test_answers_of_another_length_are_not_used(make_view: MakeView, size: int) -> None:
    view = view_of(make_view, 0.8)
    (view.folder.trial("0000") / ANSWERS).write_bytes(b"\xff" * size)
    assert answers_of(view, view.trials["0000"]) is None


def test_answers_of_another_score_are_not_used(make_view: MakeView) -> None:
    view = view_of(make_view, 0.8)
    answer(view, "0000", range(799))
    assert answers_of(view, view.trials["0000"]) is None


def test_runs_on_other_splits_are_not_paired(make_view: MakeView) -> None:
    view = view_of(make_view, 0.80, 0.77)
    answer(view, "0000", range(800))
    answer(view, "0001", range(770))
    other = view_of(make_view, 0.80, 0.77, data={**make_content()["data"], "arrays": "another"})
    _, test = p_of((view, other), (view.trials["0000"], other.trials["0001"]))
    assert test == UNPAIRED
