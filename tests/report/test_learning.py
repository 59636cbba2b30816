"""Chance is known, and a run whose best score is chance says so everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from resnet_search.cli.worth import best_lines, nothing_learnt
from resnet_search.files import write_json, write_lines
from resnet_search.report.content import report_of
from resnet_search.report.illustrated import illustrated
from resnet_search.report.learning import at_chance, chance_of, learning
from resnet_search.report.measured import Estimate
from resnet_search.runs.trials import RunView
from tests.faults.table import fault
from tests.report.conftest import Events, make_content
from tests.report.reading import prose
from tests.report.test_tested import make_measured

MakeView = Callable[..., RunView]
INTERPRETATIONS = {
    "Accuracy against cost", "Which axis matters", "What each value does", "Accuracy and cost as a picture",
    "Does an early rung predict a late one?",
}  # fmt: skip
TEN = [f"c{number}" for number in range(10)]


def view_of(make_view: MakeView, *scores: float, **data: Any) -> RunView:
    run = Events()
    for number, score in enumerate(scores):
        run.create(number, number, (0, 0, 0), (0, 3), slot=number)
        run.complete(number, score)
    run("finished")
    content = make_content()
    content["data"] |= {"classes": TEN, "validation": 400, **data}
    return make_view(run, content)


@fault(
    "numbers",
    "No network of a search is better than guessing",
    here="`run`, `trials`, `confirm`, `export`, the model card and the report say that no network was shown to have "
    "learnt anything, by a named test, and suggest what to change; nothing is said about axes, ranks and costs",
)
def test_nine_networks_at_chance_have_learnt_nothing(make_view: MakeView) -> None:
    view = view_of(make_view, *(0.0875 + 0.035 * number / 8 for number in range(9)))
    found = learning(view)
    assert found.nothing
    assert (found.chance, found.best, found.networks) == (0.1, 0.1225, 9)
    best, *notes = best_lines(view)
    assert "tied" not in best
    assert "chance, 10.00 %" in best
    assert notes == list(nothing_learnt(view))
    for document in (report_of(view), illustrated(view)):
        assert not INTERPRETATIONS & {str(section.title) for section in document.sections}
        assert found.words in prose(document)
        assert "--max-epochs" in prose(document), "what to change"


@pytest.mark.parametrize("kind", ["confirm", "final"])
@pytest.mark.parametrize("right", [40, 80])
def test_what_is_shown_later_counts(make_view: MakeView, kind: str, right: int) -> None:
    """A test that does not reject shows nothing; a confirmation or the test images may show it yet."""
    view = view_of(make_view, 0.12)
    again = view.folder.path / kind
    again.mkdir()
    content = make_content()
    content["data"] |= {"classes": TEN, "validation": 400}
    content |= {"of": {"run": "small-run", "kind": kind, "trials": ["0000"]}, "known": [{"candidates": [1]}]}
    run = Events()
    run.create(0, 0, (0, 0, 0), (0, 3))
    run.complete(0, right / 400)
    write_json(again / "run.json", {"format": 1, **content})
    write_lines(again / "events.jsonl", run.lines)
    if kind == "final":
        ten = [[right // 10 if column == row else (400 - right) // 90 for column in range(10)] for row in range(10)]
        share = Estimate(right / 400, 0.0, 1.0)
        measured = replace(make_measured(ten), top1=share).to_dict()
        write_json(again / "test.json", {"trial": "0000", "time": 1.0, "measured": measured})
    assert learning(view).nothing is (right == 40)


def test_one_network_above_chance_is_enough(make_view: MakeView) -> None:
    view = view_of(make_view, 0.09, 0.1, 0.2)
    assert not learning(view).nothing
    assert list(nothing_learnt(view)) == []
    assert at_chance(view, view.trials["0001"])
    assert "not significantly better than chance" in prose(report_of(view, view.trials["0001"]))


def test_guessing_the_largest_class_is_chance(make_view: MakeView) -> None:
    """0.85 would be far above 1 / 10, and is what the largest class alone gives."""
    assert learning(view_of(make_view, 0.85, largest_class=0.85)).nothing
    assert not learning(view_of(make_view, 0.95, largest_class=0.85)).nothing
    assert not learning(view_of(make_view, 0.85)).nothing


@pytest.mark.parametrize(("classes", "largest", "chance"), [(10, None, 0.1), (4, 0.7, 0.7), (2, 0.5, 0.5)])
def test_chance(make_view: MakeView, classes: int, largest: float | None, chance: float) -> None:
    data = {"classes": TEN[:classes], **({} if largest is None else {"largest_class": largest})}
    assert chance_of(view_of(make_view, 0.9, **data)) == chance


def test_nothing_is_claimed_without_a_score_or_of_images_that_were_trained_on(make_view: MakeView) -> None:
    assert not learning(view_of(make_view)).nothing
    assert not learning(view_of(make_view, 0.1, merged=True)).nothing


def test_the_best_of_many_must_be_further_from_chance(make_view: MakeView) -> None:
    """0.1325 of 400 images has p = 0.022: significant alone, and not as the best of ten."""
    assert not learning(view_of(make_view, 0.1325)).nothing
    assert learning(view_of(make_view, 0.1325, *[0.1] * 9)).nothing
