"""Statistics for few seeds and finitely many images; pure functions, every interval at 95 %.

There are two sources of chance. The choice of images: Wilson's interval and the bootstrap. The seed of the training:
Student's t over seeds, on the same images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from resnet_search.report.measured import Bin, Calibration, Estimate
from resnet_search.report.significance import holm

LEVEL = 0.95
BINS = 15  # Guo et al. 2017
SEEDS_OF_AN_INTERVAL = 3  # fewest
_RESAMPLES = 1000
# Resamples at once; 50 resamples of 10,000 images take 12 MB.
_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSeeds:
    """`low` and `high` are the interval of the mean; they and `deviation` are None for a single value."""

    values: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The comparison of a candidate with the candidate of the best mean.

    `behind`: the best mean minus its own. `p`: the p value of the difference, corrected for the number of comparisons;
    None if one of the two has a single score. `tied`: the difference is not significant.
    """

    name: str
    behind: float
    p: float | None

    @property
    def tied(self) -> bool:
        return self.p is None or self.p > 1 - LEVEL


def share(right: int, images: int) -> Estimate:
    """Return a share of images with Wilson's score interval (Wilson 1927), which is valid near 0 and 1 too."""
    from scipy.stats import binomtest

    interval = binomtest(right, images).proportion_ci(LEVEL, method="wilson")
    # Rounding moves an end at 0 or 1 by some 1e-17.
    value = right / images
    return Estimate(value, min(value, float(interval.low)), max(value, float(interval.high)))


def over_seeds(values: Sequence[float]) -> OverSeeds:
    """Return mean, standard deviation (n - 1) and Student's t interval of the mean of shares between 0 and 1.

    The interval is made on the logit scale, with the delta method, and so stays between 0 and 1. Two values have a
    deviation but no interval: Student's factor of 12.7 makes it useless. Equal values have an interval of width 0,
    which does not mean that the next seed gives the same: a few seeds may agree by chance, and scores are rounded to
    whole images.
    """
    from scipy.special import expit, logit
    from scipy.stats import t

    count, mean = len(values), float(np.mean(values))
    if count == 1:
        return OverSeeds(values=1, mean=mean, deviation=None, low=None, high=None)
    deviation = 0.0 if len(set(values)) == 1 else float(np.std(values, ddof=1))
    if count < SEEDS_OF_AN_INTERVAL:
        return OverSeeds(values=count, mean=mean, deviation=deviation, low=None, high=None)
    if deviation == 0:
        return OverSeeds(values=count, mean=mean, deviation=deviation, low=mean, high=mean)
    reach = float(t.ppf((1 + LEVEL) / 2, count - 1)) * deviation / count**0.5 / (mean * (1 - mean))
    low, high = (float(expit(logit(mean) + side * reach)) for side in (-1, 1))
    return OverSeeds(values=count, mean=mean, deviation=deviation, low=low, high=high)


def overestimate(search: float, confirmed: Sequence[float]) -> OverSeeds:
    """Return how far the score of a search is above the mean of the same candidate retrained, one score per seed.

    The interval is that of the mean over seeds; the search score is treated as fixed. If the candidate was retrained
    for as many epochs with the same recipe, the difference is due to selecting the best of many.
    """
    over = over_seeds(confirmed)
    low, high = (None if end is None else search - end for end in (over.high, over.low))
    return OverSeeds(values=over.values, mean=search - over.mean, deviation=over.deviation, low=low, high=high)


def compare_with_best(scores: Mapping[str, Mapping[int, float]], *, paired: bool) -> list[Comparison]:
    """Compare each candidate with the candidate of the best mean; the best first; scores by candidate and seed.

    The best candidate itself is left out. paired: a t test of the differences by seed, over the seeds that both have;
    right if a seed fixes something that all candidates share, such as the split or the order of images. Otherwise
    Welch's t test (1947), for unequal variances. Both are two-sided. Holm's correction (1979) covers all pairs of
    candidates, not just those with the best, because the same numbers decided which is the best.

    If all scores or differences are equal, there is no variance to test with, and p is 1.
    """
    ranking = sorted(scores, key=lambda name: -float(np.mean(list(scores[name].values()))))
    pairs = list(combinations(ranking, 2))
    test = _paired if paired else _welch
    raw = {pair: test(scores[pair[0]], scores[pair[1]]) for pair in pairs}
    corrected = holm({pair: p for pair, p in raw.items() if p is not None})
    means = {name: float(np.mean(list(scores[name].values()))) for name in ranking}
    return [
        Comparison(name=name, behind=means[ranking[0]] - means[name], p=corrected.get((ranking[0], name)))
        for name in ranking[1:]
    ]


def _paired(first: Mapping[int, float], second: Mapping[int, float]) -> float | None:
    from scipy.stats import ttest_1samp

    differences = [score - second[seed] for seed, score in first.items() if seed in second]
    if len(differences) < _FEWEST:
        return None
    return 1.0 if _equal(differences) else float(ttest_1samp(differences, 0).pvalue)


def _welch(first: Mapping[int, float], second: Mapping[int, float]) -> float | None:
    from scipy.stats import ttest_ind_from_stats

    one, other = list(first.values()), list(second.values())
    if min(len(one), len(other)) < _FEWEST:
        return None
    if _equal(one) and _equal(other):
        return 1.0
    # `ttest_ind` warns if the scores of one side are all equal.
    return float(ttest_ind_from_stats(*_moments(one), *_moments(other), equal_var=False).pvalue)


def _moments(values: Sequence[float]) -> tuple[float, float, int]:
    """Return mean, standard deviation (n - 1) and number."""
    return float(np.mean(values)), float(np.std(values, ddof=1)), len(values)


_FEWEST = 2


def _equal(values: Sequence[float]) -> bool:
    """Return whether values are equal up to the rounding of a subtraction."""
    return max(values) - min(values) < 1e-12  # noqa: PLR2004 - scores are between 0 and 1


def right_in_top(probabilities: NDArray[np.floating], labels: NDArray[np.integer], k: int) -> int:
    """Return which images (N,) have their class among the k most probable; ties go to the first class, as in argmax."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    rank = np.sum((probabilities > own) | ((probabilities == own) & before), axis=1)
    return int(np.sum(rank < k))


def confusion_matrix(predicted: NDArray[np.integer], labels: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Return (classes, classes): the number of images of class i (row) that were classified as class j (column)."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def calibration(confidences: NDArray[np.floating], right: NDArray[np.bool_], *, seed: int = 0) -> Calibration:
    """Return the expected calibration error of Guo et al. 2017, eq. 3, with 15 bins of equal width, and its interval.

    confidences: the largest probability of each image, (N,). right: whether that class is correct, (N,). Bin m holds
    confidences above (m - 1) / 15 and at most m / 15; the error is the mean over images of |accuracy - confidence| of
    their bins.

    The interval is the basic bootstrap's (Davison and Hinkley 1997, eq. 5.6) over images, seeded. Bins with few images
    make the estimate too large, even more so in a resample; the basic interval corrects this, the percentile interval
    makes it worse. The interval is extended to the estimate, and to 0 if the estimate is no larger than chance: the
    95 % quantile over perfectly calibrated networks with these confidences (consistency resampling, Bröcker and Smith
    2007). In simulations of 300 and 1,000 images it covered true errors of 0 to 12 % in 85 to 96 of 100 samples.
    """
    from scipy.stats import bootstrap

    exact = confidences.astype(np.float64)
    bins = np.clip(np.ceil(exact * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = right - exact

    def error(chosen: NDArray[np.int64]) -> float:
        return _gap(bins[chosen], gaps[chosen])

    random = np.random.default_rng(seed)
    value = _gap(bins, gaps)
    calibrated = [_gap(bins, (random.random(len(bins)) < exact) - exact) for _ in range(_RESAMPLES)]
    chance = float(np.quantile(calibrated, LEVEL))
    low = high = value
    if len(bins) > 1:
        interval = bootstrap(
            (np.arange(len(bins)),), error, vectorized=False, n_resamples=_RESAMPLES, batch=_BATCH,
            confidence_level=LEVEL, method="basic", rng=random,
        ).confidence_interval  # fmt: skip
        low, high = min(value, max(0.0, float(interval.low))), min(1.0, max(value, float(interval.high)))
    estimate = Estimate(value, 0.0 if value <= chance else low, high)
    return Calibration(estimate, chance, _bins(bins, exact, right))


def _gap(bins: NDArray[np.int64], gaps: NDArray[np.float64]) -> float:
    return float(np.abs(np.bincount(bins, gaps, BINS)).sum() / len(bins))


def _bins(bins: NDArray[np.int64], confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    filled = []
    for at in np.unique(bins):
        held = bins == at
        images = int(held.sum())
        mean = float(confidences[held].mean())
        filled.append(Bin(int(at) / BINS, (int(at) + 1) / BINS, images, mean, share(int(right[held].sum()), images)))
    return tuple(filled)
