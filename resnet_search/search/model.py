"""A model of accuracies: a Gaussian process over architectures and epochs, and the expected improvement.

The accuracy of network i after e epochs is a level that all networks share after e epochs, plus f(i), which is smooth
in the features of the architecture and has a linear trend in its multiply-adds, plus a deviation of the network itself,
plus noise, which is larger after few epochs. The variances are fixed, in units of the spread of accuracies after
equally many epochs: with so few observations, fitted ones would be noise.

Rasmussen and Williams 2006, algorithm 2.1; expected improvement: Jones et al. 1998, equation 15.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import ndtr

Floats = NDArray[np.float64]

# Variances over the squared spread of accuracies.
_SMOOTH, _TREND, _OWN = 1.0, 0.5, 0.1
_LEVEL = 1e4  # so large that nothing is assumed about the level
_NOISE, _EARLY_NOISE = 0.02, 0.3  # after the last epoch, and more after the first
_LEAST_SPREAD = 0.005  # lower bound, for data on which all networks score alike
MOST = 300  # observations used, the latest, so that a draw takes milliseconds: the time grows with their cube


@dataclass(frozen=True, slots=True)
class Observation:
    """The accuracy of the network in row `network` of the features after `epochs` epochs.

    Only accuracies of one `group` have the same level after equally many epochs: those on the same images.
    """

    network: int
    epochs: float
    score: float
    group: int = 0


def features_of(values: Sequence[Mapping[str, Any]]) -> Floats:
    """Return features, shape (networks, features), from named values of networks: each with mean 0 and deviation 1.

    Positive numbers enter by their logarithm, other numbers as they are, and anything else as one feature for each of
    its values. A value that a network lacks is 0. Features that are the same for all networks are left out, except
    the first, which must be the multiply-adds.
    """
    columns = []
    for name in dict.fromkeys(name for each in values for name in each):
        column = [each.get(name) for each in values]
        if all(one is None or _is_number(one) for one in column):
            positive = all(one is None or one > 0 for one in column)
            columns.append([0.0 if one is None else math.log(one) if positive else float(one) for one in column])
        else:
            # By their text, so that a list is a value like any other.
            texts = [str(one) for one in column]
            columns += [[float(text == kind) for text in texts] for kind in sorted(set(texts))[1:]]
    table = np.array(columns, "float64").T.reshape(len(values), -1)
    spread = table.std(axis=0)
    kept = spread > 0
    kept[0] = True  # The trend is in the first feature.
    features: Floats = ((table - table.mean(axis=0)) / np.where(kept & (spread > 0), spread, 1.0))[:, kept]
    return features


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def expected_improvement(features: Floats, observations: Sequence[Observation], longest: float) -> Floats:
    """Return for each network how much it is expected to improve on the best observed one, after `longest` epochs.

    In units of the spread of accuracies; shape (networks,).
    """
    known = observations[-MOST:]
    rows = np.array([one.network for one in known])
    epochs = np.array([one.epochs for one in known])
    scores = np.array([one.score for one in known]) / _spread(known)
    same = rows[:, None] == rows[None, :]
    groups = np.array([one.group for one in known])
    level = (epochs[:, None] == epochs[None, :]) & (groups[:, None] == groups[None, :])
    early = 1 - np.log1p(np.minimum(epochs, longest)) / math.log1p(longest)
    noise = np.diag(_NOISE + _EARLY_NOISE * early)
    covariance = _kernel(features[rows], features[rows]) + _OWN * same + _LEVEL * level + noise
    factor = cho_factor(covariance, lower=True, overwrite_a=True, check_finite=False)
    # Without the level after the last epoch, which is the same for all networks.
    cross = _kernel(features, features[rows]) + _OWN * (np.arange(len(features))[:, None] == rows[None, :])
    mean = cross @ cho_solve(factor, scores - scores.mean())
    half = solve_triangular(factor[0], cross.T, lower=True, overwrite_b=True, check_finite=False)
    explained = np.einsum("ij,ij->j", half, half)
    prior = _SMOOTH + _TREND * features[:, 0] ** 2 + _OWN
    deviation = np.sqrt(np.maximum(prior - explained, 1e-12))
    z = (mean - mean[rows].max()) / deviation
    improvement: Floats = deviation * (z * ndtr(z) + np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))
    return improvement


def _kernel(one: Floats, other: Floats) -> Floats:
    """Return the covariance of f: squared-exponential, its length the root of the features' number, plus the trend."""
    distance = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :] - 2 * one @ other.T
    covariance: Floats = _SMOOTH * np.exp(-distance / (2 * one.shape[1])) + _TREND * np.outer(one[:, 0], other[:, 0])
    return covariance


def _spread(known: Sequence[Observation]) -> float:
    """Return the standard deviation of scores after equally many epochs, pooled over numbers of epochs."""
    by_level: dict[tuple[int, float], list[float]] = {}
    for one in known:
        by_level.setdefault((one.group, one.epochs), []).append(one.score)
    squares = sum(len(scores) * float(np.var(scores)) for scores in by_level.values())
    freedom = sum(len(scores) - 1 for scores in by_level.values())
    return max(_LEAST_SPREAD, math.sqrt(squares / freedom)) if freedom else _LEAST_SPREAD
