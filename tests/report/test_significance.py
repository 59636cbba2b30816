"""The tests at 5 % against SciPy's, and against cases that can be counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from resnet_search.report.significance import above, holm, mcnemar, two_shares


@given(st.integers(1, 20_000), st.floats(0, 1), st.floats(0.001, 0.999))
@settings(max_examples=100)
def test_the_binomial_tail_is_exact(images: int, part: float, share: float) -> None:
    right = round(part * images)
    assert above(right, images, share) == pytest.approx(stats.binom.sf(right - 1, images, share), rel=1e-6, abs=1e-12)


def test_a_score_that_the_issue_calls_chance() -> None:
    """0.1225 of 400 images in ten classes, the best of nine: not even without the correction."""
    assert above(49, 400, 0.1) == pytest.approx(0.0812, abs=1e-4)
    assert above(60, 400, 0.1) < 0.05 / 9


def test_all_or_no_images_right() -> None:
    assert above(0, 10, 0.5) == 1
    assert above(10, 10, 0.5) == pytest.approx(2**-10)
    assert above(10, 10, 1.0) == 1


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=50)
def test_mcnemar_is_the_exact_one(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, abs=1e-9)


def test_two_shares_are_compared_by_the_pooled_z_test() -> None:
    # 240 and 200 of 400: z = 0.1 / sqrt(0.55 * 0.45 / 200) = 2.842.
    assert two_shares(0.6, 0.5, (400, 400)) == pytest.approx(2 * stats.norm.sf(2.8427), rel=1e-3)
    assert two_shares(1.0, 1.0, (10, 10)) == 1


def test_holm_multiplies_and_keeps_the_order() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {"a": 0.03, "c": 0.06, "b": 0.06}
