"""What the report says of a confirmation: means, intervals, ties, and by how much the search overestimated."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_search.report.confirmed import Confirmation, cells, confirmation, confirmed, remarks
from tests.report.reading import prose, rows

SEARCH = {"0007": ("basic20-w8", 0.80), "0004": ("basic8-w16", 0.79), "0009": ("plain20-w8", 0.70)}


def found(scores: dict[str, list[float]], *, epochs: int = 9, failed: tuple[str, ...] = ()) -> Confirmation:
    """The confirmation of some trials of a search with the scores of each, seed after seed."""
    trials = {trial: SimpleNamespace(trial=trial, name=name, score=score) for trial, (name, score) in SEARCH.items()}
    view: Any = SimpleNamespace(trials=trials, content={"recipe": {"name": "search"}}, max_epochs=9)
    again = {}
    names = list(scores)
    for seed in range(max(map(len, scores.values()))):
        for place, name in enumerate(names):
            slot = seed * len(names) + place
            trial = f"{slot:04d}"
            status = "failed" if trial in failed else "completed"
            again[trial] = SimpleNamespace(
                trial=trial, name=SEARCH[name][0], slot=slot, repeat=seed + 1, status=status, reason="the loss was nan",
                score=None if trial in failed else scores[name][seed],
            )  # fmt: skip
    content = {
        "of": {"trials": names, "seeds": max(map(len, scores.values()))},
        "recipe": {"name": "search"},
        "data": {"validation": 1000},
    }
    done: Any = SimpleNamespace(trials=again, content=content, max_epochs=epochs, state="finished", folder=Path())
    return confirmation(view, done)


def test_the_best_mean_comes_first_with_its_interval() -> None:
    one = found({"0007": [0.74, 0.76, 0.75], "0004": [0.78, 0.77, 0.79], "0009": [0.60, 0.62, 0.61]})
    assert [candidate.trial for candidate in one.candidates] == ["0004", "0007", "0009"]
    best = one.candidates[0]
    # Student's t with 2 degrees of freedom: 4.3027, on the logit scale.
    assert best.accuracy.mean == pytest.approx(0.78)
    reach = 4.30265 * 0.01 / 3**0.5 / (0.78 * 0.22)
    assert best.accuracy.low == pytest.approx(1 / (1 + 0.22 / 0.78 * math.exp(reach)), abs=1e-6)
    assert best.overestimate.mean == pytest.approx(0.01)
    assert [candidate.tied for candidate in one.candidates] == [True, False, False]
    assert cells(best)[-1] == "best"
    assert cells(one.candidates[1])[-1] == "-3.00, worse"
    compared, search, _ = remarks(one)
    assert "basic8-w16" in compared
    assert "basic20-w8" not in compared
    assert " 5.00 percentage points" in search


def test_ties_are_told() -> None:
    one = found({"0007": [0.70, 0.76, 0.73], "0004": [0.75, 0.72, 0.74]})
    assert len(remarks(one, learnt=False)) == 1, "of chance, no order"
    assert one.candidates[1].tied
    for name in ("basic8-w16", "basic20-w8"):
        assert name in remarks(one)[0]


def test_one_seed_claims_nothing() -> None:
    one = found({"0007": [0.70], "0004": [0.75]})
    assert cells(one.candidates[0])[2:4] == ("", "none: 1 seed")
    assert cells(one.candidates[1])[-1] == "-5.00, one seed"
    assert "basic8-w16" not in remarks(one)[0]
    assert "--seeds" in remarks(one)[0]


def test_two_seeds_claim_no_interval() -> None:
    one = found({"0007": [0.70, 0.76]})
    assert cells(one.candidates[0])[3] == "none: 2 seeds"


def test_another_length_is_not_the_optimism_of_choosing() -> None:
    one = found({"0007": [0.85, 0.86]}, epochs=27)
    assert not one.alike
    rivals, search, _ = remarks(one)
    assert "-5.50 percentage points" in search
    assert "basic20-w8" in rivals
    assert "Holm" not in rivals


def test_what_failed_is_told_and_not_averaged() -> None:
    one = found({"0007": [0.7, 0.8], "0004": [0.6, 0.62]}, failed=("0002",))
    assert one.candidates[0].scores == {1: 0.7}
    assert one.failures == (("basic20-w8, seed 2", "the loss was nan"),)
    assert (one.done, one.networks) == (3, 4)


def test_nothing_is_done_yet() -> None:
    one = found({"0007": [0.7], "0004": [0.6]}, failed=("0000", "0001"))
    assert one.best is None
    assert remarks(one) == []


def test_the_section_holds_the_table() -> None:
    one = found({"0007": [0.74, 0.76, 0.75], "0004": [0.78, 0.77, 0.79]}, failed=("0001",))
    *candidates, failed = rows(confirmed(one))
    assert [row[:4] for row in candidates] == [
        ["0004", "basic8-w16", "2", "78.00 %"],
        ["0007", "basic20-w8", "3", "75.00 %"],
    ]
    assert failed == ["basic8-w16, seed 1", "the loss was nan"]
    for fact in ("2 candidates", "3 seeds", "9 epochs", "5 of 6 networks"):
        assert fact in prose(confirmed(one))
