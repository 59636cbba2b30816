"""A forecast of accuracies: the share of wrong answers of a network falls with a power of its epochs.

    ln error(e) - ln error(h) = (a + b x) ln(h / e),   x: ln of the network's multiply-adds, less that of the average

The exponent grows with the network, because large networks learn more slowly at first. Power laws of learning curves:
Hestness et al. 2017, arXiv 1712.00409. `a` and `b` are estimated from the candidates that a search has trained further,
by Bayesian linear regression, starting from values measured on recorded searches (docs/decisions.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Mean and standard deviation of `a` and `b` before a search has trained anything: CIFAR-10, 48 and 16 networks.
_RATE, _RATE_SPREAD = 0.2, 0.15
_BY_SIZE, _BY_SIZE_SPREAD = 0.01, 0.01
# Standard deviation of what the law leaves unexplained, of ln error, for ln(h / e) = 1.
_OWN: Final = 0.015


@dataclass(frozen=True, slots=True)
class Score:
    """The accuracy of a network with so many multiply-adds after so many epochs."""

    accuracy: float
    epochs: float
    macs: int


@dataclass(frozen=True, slots=True)
class Predicted:
    """An expected accuracy, and the standard deviation of its error."""

    accuracy: float
    spread: float


class Forecast:
    """Predicts accuracies after `horizon` epochs.

    `gains`: for networks that were trained further, their scores before and after. `images`: number of validation
    images, from which the noise of a score follows.
    """

    def __init__(self, gains: Sequence[tuple[Score, Score]], images: int, horizon: float) -> None:
        self._images, self._horizon = images, horizon
        sizes = [math.log(before.macs) for before, _ in gains]
        self._average = sum(sizes) / len(sizes) if sizes else None
        # Precision matrix and weighted sum of Bayesian linear regression (Bishop 2006, equations 3.50 and 3.51).
        p_aa, p_ab, p_bb = _RATE_SPREAD**-2, 0.0, _BY_SIZE_SPREAD**-2
        s_a, s_b = _RATE * p_aa, _BY_SIZE * p_bb
        for (before, after), size in zip(gains, sizes, strict=True):
            steps = math.log(after.epochs / before.epochs)
            x = size - (self._average or 0.0)
            gain = self._error(before) - self._error(after)
            weight = 1 / (_OWN**2 * steps + self._noise(before) + self._noise(after))
            p_aa += weight * steps**2
            p_ab += weight * steps**2 * x
            p_bb += weight * steps**2 * x**2
            s_a += weight * steps * gain
            s_b += weight * steps * x * gain
        determinant = p_aa * p_bb - p_ab**2
        self._covariance = p_bb / determinant, -p_ab / determinant, p_aa / determinant
        v_aa, v_ab, v_bb = self._covariance
        self._rate, self._by_size = v_aa * s_a + v_ab * s_b, v_ab * s_a + v_bb * s_b

    def predict(self, scores: Sequence[Score]) -> list[Predicted]:
        """Return the expected accuracies of networks after the horizon, by their scores after fewer epochs."""
        sizes = [math.log(one.macs) for one in scores]
        average = sum(sizes) / max(1, len(sizes)) if self._average is None else self._average
        return [self._predict(one, size - average) for one, size in zip(scores, sizes, strict=True)]

    def _predict(self, score: Score, x: float) -> Predicted:
        steps = max(0.0, math.log(self._horizon / score.epochs))
        v_aa, v_ab, v_bb = self._covariance
        error = math.exp(self._error(score) - (self._rate + self._by_size * x) * steps)
        variance = steps**2 * (v_aa + 2 * v_ab * x + v_bb * x**2) + _OWN**2 * steps + self._noise(score)
        return Predicted(1 - error, error * math.sqrt(variance))

    def _error(self, score: Score) -> float:
        """Return ln of the share of wrong answers; half an image, if all are right."""
        return math.log(max(1 - score.accuracy, 0.5 / self._images))

    def _noise(self, score: Score) -> float:
        """Return the variance of ln error: of a binomial share, divided by its square."""
        wrong = max(1 - score.accuracy, 0.5 / self._images)
        return (1 - wrong) / (wrong * self._images) if wrong < 1 else 0.0
