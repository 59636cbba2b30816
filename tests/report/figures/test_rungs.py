from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.report.figures.reading import Reading
from resnet_search.report.figures.rungs import agreement, between, predicted
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView
from tests.report.reading import prose, rows


def reading_of(curves, rungs=(1, 9), factor=3) -> Reading:
    content = {"space": {"hyperband": {"factor": factor, "max_epochs": 9}}}
    return Reading(RunView(RunFolder(None), content), {}, curves, curves, 0, rungs)  # type: ignore[arg-type]


def test_known_correlations():
    """Spearman's rho by hand: of 1 - 6 Σd² / (n (n² - 1)) with Σd² = 2, 0 and 40, n = 5."""
    late = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert agreement([0.2, 0.1, 0.3, 0.4, 0.5], late, (1, 9), 3).rho == pytest.approx(0.9)
    assert agreement(late, late, (1, 9), 3).rho == pytest.approx(1)
    assert agreement(late[::-1], late, (1, 9), 3).rho == pytest.approx(-1)
    assert agreement([0.5] * 5, late, (1, 9), 3).rho == 0


def test_the_interval_is_bonett_and_wrights():
    """On the scale of Fisher's transform it reaches 1.96 sqrt((1 + rho² / 2) / (n - 3)) to both sides."""
    from scipy.stats import spearmanr

    late = list(range(30))
    early = [*range(0, 30, 2), *range(1, 30, 2)]
    found = agreement(early, late, (1, 9), 3)
    rho = float(spearmanr(early, late).statistic)
    assert found.rho == pytest.approx(rho)
    assert found.low < rho < found.high
    reach = 1.96 * math.sqrt((1 + rho**2 / 2) / 27)
    assert math.atanh(found.high) - math.atanh(rho) == pytest.approx(reach)


def test_how_many_of_the_best_were_the_best_early():
    late = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert agreement([0.9, 0.1, 0.2, 0.3, 0.4, 0.8], late, (1, 9), 3).kept == 0.5  # Of 5 and 4, 5.
    assert agreement(late, late, (1, 9), 3).chosen == 2


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=5, max_size=40))
def test_it_is_a_correlation_with_an_interval(pairs):
    early, late = zip(*pairs, strict=True)
    found = agreement(early, late, (1, 9), 3)
    assert -1 <= found.low <= found.rho + 1e-3
    assert found.rho - 1e-3 <= found.high <= 1
    assert 0 <= found.kept <= 1


def test_fewer_than_five_say_nothing():
    curves = {number: {1: number / 10, 9: number / 10} for number in range(4)}
    assert between(reading_of(curves)) == []
    [section] = predicted(reading_of(curves))
    assert "5 candidates" in prose(section)
    assert rows(section) == []


def test_without_rungs_there_is_no_question():
    assert predicted(reading_of({}, rungs=(9,))) == ()


@pytest.mark.parametrize(
    ("early", "options"),
    [
        (lambda number: number, ["--factor 4"]),
        (lambda number: number + 14 * (number % 3), []),
        (lambda number: (number * 17) % 40, ["--min-epochs", "--factor 2"]),
    ],
)
def test_advice(early, options):
    curves = {number: {1: early(number) / 100, 9: number / 100} for number in range(40)}
    assert re.findall(r"--[a-z-]+(?: \d)?", prose(*predicted(reading_of(curves)))) == options


def test_of_an_interval_that_is_wide_more_candidates_are_advised():
    curves = {number: {1: [2, 0, 3, 1, 4, 5][number] / 10, 9: number / 10} for number in range(6)}
    assert re.findall(r"--[a-z-]+", prose(*predicted(reading_of(curves)))) == ["--iterations"]
