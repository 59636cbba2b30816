"""Against published values, against SciPy where it has the same, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from resnet_search.report.statistics import (
    LEVEL,
    Comparison,
    calibration,
    compare_with_best,
    confusion_matrix,
    over_seeds,
    overestimate,
    right_in_top,
    share,
)
from tests.faults.table import fault

pytestmark = pytest.mark.interface


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_newcombes(right, images, low, high):
    """Newcombe 1998, table I, method 3."""
    found = share(right, images)
    assert (found.value, found.low, found.high) == (
        right / images,
        pytest.approx(low, abs=5e-5),
        pytest.approx(high, abs=5e-5),
    )


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(deadline=None, max_examples=50)
def test_a_share_lies_in_its_interval_which_narrows_with_images(pair):
    right, images = pair
    found, more = share(right, images), share(10 * right, 10 * images)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert more.high - more.low < found.high - found.low


def test_a_share_of_all_reaches_one_and_no_further():
    assert share(10, 10).high == 1.0
    assert share(0, 10).low == 0.0


def test_wilsons_interval_covers_near_one():
    """Where the normal interval would hold the truth far less often: 98 % of 100 images."""
    random = np.random.default_rng(0)
    counts, times = np.unique(random.binomial(100, 0.98, 5000), return_counts=True)
    held = sum(
        n for k, n in zip(counts, times, strict=True) if share(int(k), 100).low <= 0.98 <= share(int(k), 100).high
    )
    assert 0.93 < held / 5000 < 0.99


def test_the_interval_over_seeds_is_students_where_it_is_narrow():
    """The extra sleep of Student 1908 by the second drug, 95 % from 0.8977 to 3.7623 hours, as shares near 0.5."""
    sleep = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = over_seeds([0.5 + value / 1e4 for value in sleep])
    assert found.mean == pytest.approx(0.500233)
    assert found.deviation == pytest.approx(0.0002002249, abs=1e-10)
    assert (found.low, found.high) == (pytest.approx(0.50008976775, abs=1e-9), pytest.approx(0.50037623225, abs=1e-9))


@fault(
    "numbers",
    "The seeds of a confirmation differ so much that Student's t interval reaches below 0 or above 100 %",
    here="the interval is made on the logit scale and stays inside; two seeds give none, and the table says so",
)
def test_the_interval_over_seeds_stays_between_0_and_1():
    for scores in ([0.10, 0.135, 0.02], [0.3, 0.54, 0.78], [0.999, 0.99, 1.0], [0.0, 0.0, 1.0]):
        found = over_seeds(scores)
        assert found.low is not None
        assert found.high is not None
        assert 0 < found.low < found.mean < found.high < 1


def test_one_seed_has_no_interval():
    found = over_seeds([0.9])
    assert (found.values, found.mean, found.deviation, found.low, found.high) == (1, 0.9, None, None, None)


def test_two_seeds_have_a_deviation_and_no_interval():
    found = over_seeds([0.90, 0.92])
    assert found.deviation == pytest.approx(0.01 * 2**0.5)
    assert (found.low, found.high) == (None, None)


def test_seeds_that_agree_have_an_interval_without_width():
    found = over_seeds([0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2])
    assert (found.deviation, found.low, found.high) == (0.0, found.mean, found.mean)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=10), st.floats(0, 1))
@settings(deadline=None)
def test_the_overestimate_is_the_mean_turned_over(confirmed, search):
    over, mean = overestimate(search, confirmed), over_seeds(confirmed)
    assert over.mean == pytest.approx(search - mean.mean)
    assert mean.low is not None
    assert over.high == pytest.approx(search - mean.low)
    assert mean.low <= mean.mean + 1e-12


def by_seed(values):
    return dict(enumerate(values))


WELCH = (
    [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4],
    [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4],
)
SLEEP = (
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)


def test_two_candidates_are_compared_by_welch():
    found = compare_with_best({"a": by_seed(WELCH[0]), "b": by_seed(WELCH[1])}, paired=False)
    assert [one.name for one in found] == ["a"]
    assert found[0].p == pytest.approx(0.021, abs=5e-4)
    assert not found[0].tied


@pytest.mark.parametrize(("paired", "p", "tied"), [(True, 0.002833, False), (False, 0.07939, True)])
def test_pairs_tell_more_where_seeds_share_something(paired, p, tied):
    """Student's sleep data: the same persons with both drugs."""
    (found,) = compare_with_best({"a": by_seed(SLEEP[0]), "b": by_seed(SLEEP[1])}, paired=paired)
    assert found.behind == pytest.approx(1.58)
    assert found.p == pytest.approx(p, abs=5e-6)
    assert found.tied is tied


def test_pairs_are_those_that_both_have():
    whole = compare_with_best({"a": by_seed(SLEEP[0]), "b": by_seed(SLEEP[1])}, paired=True)[0]
    lost = compare_with_best({"a": by_seed(SLEEP[0]), "b": by_seed([*SLEEP[1], 99.0])}, paired=True)[0]
    assert lost.p == whole.p


def test_holm_corrects_for_all_pairs():
    """Against the definition: the three raw p values times 3, 2, 1, and never less than the one before."""
    scores = {"a": [0.95, 0.96, 0.97], "b": [0.90, 0.91, 0.93], "c": [0.80, 0.90, 0.91]}
    raw = sorted((stats.ttest_ind(scores[x], scores[y], equal_var=False).pvalue, x + y) for x, y in ("ab", "ac", "bc"))
    expected, highest = {}, 0.0
    for factor, (p, pair) in zip((3, 2, 1), raw, strict=True):
        highest = max(highest, min(1.0, p * factor))
        expected[pair] = highest
    found = compare_with_best({name: by_seed(values) for name, values in scores.items()}, paired=False)
    assert {one.name: one.p for one in found} == {
        "b": pytest.approx(expected["ab"]),
        "c": pytest.approx(expected["ac"]),
    }


def test_p_of_a_larger_difference_is_never_the_larger_one():
    """Holm's factors alone would give b, which is nearer to a than c is, the smaller p."""
    scores = {"a": [0.95, 0.96, 0.97], "b": [0.90, 0.91, 0.93], "c": [0.899, 0.909, 0.929]}
    near, far = (stats.ttest_ind(scores["a"], scores[other], equal_var=False).pvalue for other in "bc")
    assert far < near < 3 / 2 * far
    found = compare_with_best({name: by_seed(values) for name, values in scores.items()}, paired=False)
    assert [one.p for one in found] == [pytest.approx(3 * far)] * 2


def test_p_is_one_at_most():
    scores = {"a": [0.91, 0.92, 0.93], "b": [0.92, 0.93, 0.90], "c": [0.90, 0.93, 0.92]}
    found = compare_with_best({name: by_seed(values) for name, values in scores.items()}, paired=False)
    assert [one.p for one in found] == [1.0, 1.0]


def test_pairs_that_cannot_be_compared_do_not_count_among_the_comparisons():
    scores = {"c": [0.6], "b": [0.90, 0.91, 0.93], "a": [0.95, 0.96, 0.97]}
    found = compare_with_best({name: by_seed(values) for name, values in scores.items()}, paired=False)
    raw = stats.ttest_ind(scores["a"], scores["b"], equal_var=False).pvalue
    assert [(one.name, one.p) for one in found] == [("b", pytest.approx(raw)), ("c", None)]
    assert [one.behind for one in found] == [pytest.approx(0.96 - 2.74 / 3), pytest.approx(0.36)]


@pytest.mark.parametrize(("p", "tied"), [(None, True), (0.9, True), (0.051, True), (1 - LEVEL, False), (0.0, False)])
def test_candidates_are_tied_unless_their_difference_is_significant(p, tied):
    assert Comparison(name="b", behind=0.1, p=p).tied is tied


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("equal", ["best", "other"])
def test_scores_of_one_side_may_all_be_equal(equal):
    """The other side still has a variance: Welch's t is 0.39 / (0.01 / sqrt 3), with two degrees of freedom."""
    scores = {"a": [0.9] * 3, "b": [0.5, 0.52, 0.51]} if equal == "best" else {"a": [0.9, 0.91, 0.89], "b": [0.51] * 3}
    (found,) = compare_with_best({name: by_seed(values) for name, values in scores.items()}, paired=False)
    assert found.p == pytest.approx(2 * stats.t.sf(0.39 / (0.01 / 3**0.5), 2))
    assert not found.tied


def test_differences_that_are_nearly_equal_are_significant():
    (found,) = compare_with_best({"a": by_seed([0.9, 0.8, 0.7]), "b": by_seed([0.8, 0.699, 0.598])}, paired=True)
    assert found.p == pytest.approx(stats.ttest_1samp([0.1, 0.101, 0.102], 0).pvalue, rel=1e-6)
    assert not found.tied


@pytest.mark.parametrize("paired", [True, False])
def test_a_single_score_against_several_claims_nothing(paired):
    (found,) = compare_with_best({"a": {1: 0.9}, "b": {1: 0.5, 2: 0.6, 3: 0.55}}, paired=paired)
    assert (found.p, found.tied) == (None, True)


@pytest.mark.parametrize("paired", [True, False])
def test_one_seed_claims_nothing(paired):
    (found,) = compare_with_best({"a": {1: 0.9}, "b": {1: 0.5}}, paired=paired)
    assert (found.p, found.tied) == (None, True)
    assert found.behind == pytest.approx(0.4)


@pytest.mark.parametrize("paired", [True, False])
def test_scores_without_variance_claim_nothing(paired):
    (found,) = compare_with_best({"a": {1: 0.9, 2: 0.9}, "b": {1: 0.5, 2: 0.5}}, paired=paired)
    assert (found.p, found.tied) == (1.0, True)


def test_differences_that_are_equal_but_for_rounding_claim_nothing():
    (found,) = compare_with_best({"a": {1: 0.9, 2: 0.8, 3: 0.7}, "b": {1: 0.6, 2: 0.5, 3: 0.4}}, paired=True)
    assert found.p == 1.0


def test_equal_candidates_are_told_apart_in_one_of_twenty_cases_at_most():
    """That the best one is chosen by the same numbers does not raise it: five candidates, five seeds each."""
    random = np.random.default_rng(3)
    wrong = 0
    for _ in range(100):
        scores = {f"{at}": by_seed(random.normal(0.9, 0.01, 5)) for at in range(5)}
        wrong += any(not one.tied for one in compare_with_best(scores, paired=False))
    assert wrong <= 9  # 5 % of 100, and two standard deviations


def test_one_candidate_has_no_rival():
    assert compare_with_best({"a": {1: 0.9}}, paired=False) == []


@given(st.integers(1, 6), st.integers(2, 7), st.integers(0, 1000))
@settings(deadline=None)
def test_the_first_of_the_top_is_argmax_and_all_are_in_the_whole(images, classes, seed):
    random = np.random.default_rng(seed)
    # Few values, so that many are equal.
    probabilities = random.integers(0, 3, (images, classes)).astype(np.float32)
    labels = random.integers(0, classes, images)
    found = [right_in_top(probabilities, labels, k) for k in range(1, classes + 1)]
    assert found[0] == int((probabilities.argmax(axis=1) == labels).sum())
    assert found == sorted(found)
    assert found[-1] == images


def test_confusion_matrix():
    matrix = confusion_matrix(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_the_calibration_error_by_hand():
    """Two bins: 0.9 sure and 1 of 2 right, 0.5 sure and 1 of 2 right; (2 * 0.4 + 2 * 0) / 4."""
    found = calibration(np.array([0.9, 0.9, 0.5, 0.5]), np.array([True, False, True, False]))
    assert found.error.value == pytest.approx(0.2)
    assert [(one.images, one.accuracy.value) for one in found.bins] == [(2, 0.5), (2, 0.5)]
    assert [one.confidence for one in found.bins] == [pytest.approx(0.5), pytest.approx(0.9)]


def test_a_bin_holds_its_upper_end():
    """Guo et al. 2017: ((m - 1) / M, m / M]."""
    found = calibration(np.array([3 / 15, 3 / 15 + 1e-9, 1.0, 0.0]), np.array([True, True, True, True]))
    assert [(round(one.low * 15), round(one.high * 15)) for one in found.bins] == [(0, 1), (2, 3), (3, 4), (14, 15)]


def test_rounding_above_one_is_in_the_last_bin():
    assert calibration(np.array([np.nextafter(np.float32(1), np.float32(2))]), np.array([True])).bins[0].high == 1.0


def overconfident(random: np.random.Generator, images: int, too_sure: float) -> tuple[np.ndarray, np.ndarray]:
    confidences = np.clip(random.beta(6, 1, images), 0.1, 1)
    return confidences, random.random(images) < confidences - too_sure * (confidences - 0.1)


def test_the_calibration_error_repeats_by_its_seed():
    data = overconfident(np.random.default_rng(0), 500, 0.1)
    assert calibration(*data, seed=1) == calibration(*data, seed=1)
    assert calibration(*data) == calibration(*data, seed=0)
    assert calibration(*data, seed=1).error != calibration(*data, seed=2).error


@given(st.integers(0, 10_000), st.integers(1, 60), st.floats(0, 0.5))
@settings(deadline=None, max_examples=15)
def test_the_calibration_error_lies_in_its_interval(seed, images, too_sure):
    found = calibration(*overconfident(np.random.default_rng(seed), images, too_sure))
    assert 0 <= found.error.low <= found.error.value <= found.error.high <= 1.5
    assert sum(one.images for one in found.bins) == images


def test_the_interval_of_the_calibration_error_is_the_basic_bootstraps():
    """Against one by hand: the percentiles mirrored at the estimate. Not mirrored, they would lie above it."""
    confidences, right = overconfident(np.random.default_rng(2), 300, 0.3)
    error = calibration(confidences, right).error
    bins, gaps = np.ceil(confidences * 15).astype(int) - 1, right - confidences
    resamples = np.random.default_rng(1).integers(0, 300, (1000, 300))
    errors = [np.abs(np.bincount(bins[chosen], gaps[chosen], 15)).sum() / 300 for chosen in resamples]
    low, high = 2 * error.value - np.quantile(errors, [0.975, 0.025])
    assert np.quantile(errors, 0.025) - low > 0.01
    assert (error.low, error.high) == (pytest.approx(low, abs=0.005), pytest.approx(high, abs=0.005))


def test_the_interval_of_the_calibration_error_is_of_a_thousand_resamples(monkeypatch):
    """As docs/predict.md says."""
    bootstrap, counts = stats.bootstrap, []

    def count(*data, n_resamples, **options):
        counts.append(n_resamples)
        return bootstrap(*data, n_resamples=10, **options)

    monkeypatch.setattr(stats, "bootstrap", count)
    calibration(np.array([0.9, 0.9]), np.array([True, False]))
    assert counts == [1000]


def test_the_interval_of_the_calibration_error_is_extended_to_the_estimate():
    """In every resample the error is larger than 0, and mirrored the interval lies below it."""
    error = calibration(np.full(200, 0.5), np.arange(200) % 2 == 0).error
    assert (error.value, error.low, error.high) == (0.0, 0.0, 0.0)


def test_two_images_have_an_interval():
    """Resamples of a right and a wrong one at 90 % confidence: errors of 0.1, 0.4 and 0.9."""
    found = calibration(np.array([0.9, 0.9]), np.array([True, False]))
    assert (found.error.value, found.error.low) == (pytest.approx(0.4), 0.0)
    assert found.error.high == pytest.approx(0.7)


def test_one_wrong_image_says_nothing_about_calibration():
    """One of ten at 90 % confidence is wrong by chance."""
    found = calibration(np.array([0.9]), np.array([False]))
    assert (found.error.value, found.error.low, found.error.high) == (pytest.approx(0.9), 0.0, pytest.approx(0.9))
    assert found.chance == pytest.approx(0.9)


def test_chance_is_the_error_that_one_of_twenty_calibrated_networks_exceeds():
    """Of 100 images at 50 % confidence, 40 to 60 are right in 96.5 % of cases, and 41 to 59 in 94.3 %."""
    assert 0.085 < calibration(np.full(100, 0.5), np.arange(100) < 50).chance < 0.105


def test_a_calibrated_network_is_not_called_uncalibrated():
    """Its error on finitely many images is above 0 all the same."""
    random = np.random.default_rng(5)
    found = [calibration(*overconfident(random, 400, 0)) for _ in range(20)]
    assert min(one.error.value for one in found) > 0.005
    assert sum(one.error.low == 0 for one in found) >= 17


def test_an_overconfident_network_is():
    found = calibration(*overconfident(np.random.default_rng(5), 2000, 0.2))
    assert found.chance < found.error.low < found.error.value < found.error.high


@pytest.mark.slow
@pytest.mark.parametrize("too_sure", [0, 0.03, 0.1, 0.3])
def test_the_interval_of_the_calibration_error_holds_the_truth(too_sure):
    """In 85 to 96 of 100 samples; the percentile interval would never hold that of a calibrated network."""
    random = np.random.default_rng(1)
    confidences, right = overconfident(random, 3_000_000, too_sure)
    bins = np.clip(np.ceil(confidences * 15).astype(int) - 1, 0, 14)
    truth = np.abs(np.bincount(bins, right - confidences, 15)).sum() / len(bins)
    found = [calibration(*overconfident(random, 500, too_sure)).error for _ in range(100)]
    assert sum(one.low <= truth <= one.high for one in found) >= 80
