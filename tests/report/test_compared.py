"""Runs held against each other."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest

from resnet_search.report.compared import FEWEST, POINTS, compare
from resnet_search.runs.trials import RunView
from tests.report.conftest import Events, make_content, search_events

MakeView = Callable[..., RunView]


def changed(**values: Any) -> dict[str, Any]:
    """A content with some values of its data, or of itself, replaced."""
    content = copy.deepcopy(make_content())
    for name, value in values.items():
        table = content["data"] if name in content["data"] else content
        table[name] = value
    return content


def test_the_same_twice_differs_in_nothing(make_view: MakeView) -> None:
    found = compare([make_view(search_events()), make_view(search_events())])
    assert found["comparable"] == {"data": True, "split": True}
    assert found["differences"] == []
    [pair] = found["pairs"]
    assert (pair["difference"], pair["larger"]) == (0, False)
    assert [run["best"]["score"] for run in found["runs"]] == [0.8, 0.8]
    # Binomial, of 1,000 validation images.
    error = math.sqrt(0.8 * 0.2 / 1000)
    assert found["runs"][0]["best"]["standard_error"] == pytest.approx(error)
    assert pair["standard_error"] == pytest.approx(error * math.sqrt(2))


@pytest.mark.parametrize(
    ("values", "data", "split"),
    [
        ({"fingerprint": "another"}, False, False),
        ({"classes": ["disc", "ring"]}, False, False),
        ({"image_shape": [16, 16, 3]}, False, False),
        ({"seed": 8}, True, False),
        ({"validation": 500}, True, False),
        ({"train": 100}, True, False),
        ({"source": "/elsewhere", "location": "x", "notes": ["y"]}, True, True),
        ({"backend": "jax"}, True, True),
    ],
)
def test_what_makes_scores_incomparable(values: dict[str, Any], data: bool, split: bool, make_view: MakeView) -> None:
    found = compare([make_view(search_events()), make_view(search_events(), changed(**values))])
    assert found["comparable"] == {"data": data, "split": split}


def test_settings_that_differ_are_told_by_name(make_view: MakeView) -> None:
    content = changed(seed=8, backend="jax")
    content["space"]["hyperband"]["factor"] = 4
    content["versions"]["keras"] = "3.10.0"
    content["data"]["notes"] = ["not told"]
    found = compare([make_view(search_events()), make_view(search_events(), content)])
    told = {one["setting"]: one["values"] for one in found["differences"]}
    assert told == {
        "space.hyperband.factor": [3, 4],
        "seed": [7, 8],
        "backend": [None, "jax"],
        "versions.keras": ["3.15.1", "3.10.0"],
    }


def better(points: float) -> Events:
    """The search with every score so many points higher."""
    run = search_events()
    for line in run.lines:
        if "score" in line:
            line["score"] += points
    return run


def test_a_difference_is_held_against_its_standard_error(make_view: MakeView) -> None:
    for points, larger in ((0.01, False), (0.05, True)):
        first, second = make_view(search_events()), make_view(better(points))
        [pair] = compare([first, second])["pairs"]
        assert pair["difference"] == pytest.approx(-points)
        assert pair["larger"] is larger


@pytest.mark.parametrize(
    ("values", "unlike"), [({}, None), ({"classes": ["disc", "ring"]}, "images"), ({"validation": 500}, "split")]
)
def test_scores_of_other_images_are_held_against_nothing(
    values: dict[str, Any], unlike: str | None, make_view: MakeView
) -> None:
    [pair] = compare([make_view(search_events()), make_view(better(0.05), changed(**values))])["pairs"]
    assert pair["unlike"] == unlike
    assert pair["larger"] is (None if unlike else True)


def test_scores_of_other_epochs_are_held_against_nothing(make_view: MakeView) -> None:
    short = copy.deepcopy(make_content())
    short["space"]["hyperband"]["max_epochs"] = 1
    begun = Events()
    begun.create(0, 0, (0, 1, 0), (0, 1))
    begun.complete(0, 0.45)
    views = [make_view(search_events()), make_view(begun), make_view(begun, short), make_view(Events())]
    pairs = compare(views)["pairs"]
    assert [pair["unlike"] for pair in pairs] == ["so far", "epochs", "no result", "so far", "no result", "no result"]
    assert {pair["larger"] for pair in pairs} == {None}
    assert pairs[0]["difference"] == pytest.approx(0.8 - 0.45)


def test_a_default_that_a_space_spells_out_is_no_difference(make_view: MakeView) -> None:
    spelled, plain, other = (copy.deepcopy(make_content()) for _ in range(3))
    for content in (spelled, plain, other):
        content["recipe"] = {"name": "search", "flip": True}
        content["space"]["recipe"] = {"name": "search"}
    spelled["space"]["recipe"]["flip"] = True
    assert compare([make_view(search_events(), spelled), make_view(search_events(), plain)])["differences"] == []
    other["recipe"]["flip"] = other["space"]["recipe"]["flip"] = False
    found = compare([make_view(search_events(), spelled), make_view(search_events(), other)])["differences"]
    assert found == [{"setting": "recipe.flip", "values": [True, False]}]


def test_a_score_of_all_or_none_has_no_width(make_view: MakeView) -> None:
    run = Events()
    run.create(0, 0, (0, 0, 0), (0, 3))
    run.complete(0, 1.0)
    found = compare([make_view(run), make_view(search_events())])
    assert found["runs"][0]["best"]["standard_error"] is None
    assert found["pairs"][0]["larger"]


def test_at_equal_epochs(make_view: MakeView) -> None:
    short = Events()
    short.create(0, 0, (0, 1, 0), (0, 1))
    short.complete(0, 0.45)
    short.create(1, 1, (0, 1, 0), (0, 1))
    short.complete(1, 0.55)
    found = compare([make_view(search_events()), make_view(short)])["equal_epochs"]
    assert found["epochs"] == 2
    assert found["scores"] == [0.5, 0.55]
    assert len(found["curve_epochs"]) == POINTS
    assert found["curve_epochs"][-1] == 11
    long, cut = found["curves"]
    assert long[-1] == 0.8
    assert cut[-1] is None, "nothing behind its end"
    assert max(value for value in cut if value is not None) == 0.55


def test_candidates_that_both_trained(make_view: MakeView) -> None:
    found = compare([make_view(search_events()), make_view(better(0.1))])
    assert [(one["epochs"], one["trials"][0]) for one in found["common"]] == [
        (3, "0004"), (3, "0005"), (3, "0006"), (1, "0003"), (1, "0002"),
    ]  # fmt: skip
    assert found["common"][0]["scores"] == [0.8, pytest.approx(0.9)]
    # Three of one epoch and three of three: the more epochs, and too few to say anything.
    assert found["pairs"][0]["ranks"] == {"epochs": 3, "candidates": 3, "correlation": None}


def rung(scores: list[float]) -> Events:
    run = Events()
    for number, score in enumerate(scores):
        run.create(number, number, (0, 1, 0), (0, 1), slot=number)
        run.complete(number, score)
    return run


def test_ranks_agree_or_not(make_view: MakeView) -> None:
    first = make_view(rung([0.1, 0.2, 0.3, 0.4]))
    assert FEWEST == 4
    for scores, correlation in (([0.2, 0.3, 0.4, 0.5], 1.0), ([0.5, 0.4, 0.3, 0.2], -1.0), ([0.3] * 4, None)):
        [pair] = compare([first, make_view(rung(scores))])["pairs"]
        assert pair["ranks"] == {"epochs": 1, "candidates": 4, "correlation": pytest.approx(correlation)}


def test_other_varied_values_make_another_candidate(make_view: MakeView) -> None:
    run = rung([0.1, 0.2, 0.3, 0.4])
    for line in run.lines:
        if line["event"] == "created":
            line["recipe"] = {"learning_rate": 0.05}
    assert compare([make_view(rung([0.1, 0.2, 0.3, 0.4])), make_view(run)])["common"] == []


def test_runs_that_have_nothing_yet(make_view: MakeView) -> None:
    found = compare([make_view(Events()), make_view(search_events()), make_view(Events())])
    assert [run["best"] is None for run in found["runs"]] == [True, False, True]
    assert [pair["difference"] for pair in found["pairs"]] == [None] * 3
    assert found["equal_epochs"]["epochs"] == 0
    assert found["equal_epochs"]["scores"] == [None, None, None]


def test_what_it_cost(make_view: MakeView) -> None:
    spent = compare([make_view(search_events()), make_view(search_events())])["runs"][0]["spent"]
    assert (spent["epochs"], spent["trials"], spent["energy_measured"]) == (11, 6, False)
    assert spent["worker_seconds"] == 6 * 7.0
