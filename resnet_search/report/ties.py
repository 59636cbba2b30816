"""Which candidates a run's validation images cannot distinguish, by one stated test at 5 %.

Where the answers of two networks to the same images are kept, McNemar's exact test compares them image by image;
otherwise the two-proportion z test does, which needs larger differences. Holm's correction covers all pairs, because
the same scores decided which candidate is the best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from resnet_search.report.significance import LEVEL, holm, mcnemar, two_shares
from resnet_search.runs.answers import answers_of
from resnet_search.runs.trials import RunView, Trial

_NORMAL = 1.96
MOST = 100  # candidates that are compared, the best of a longer ranking
PAIRED, UNPAIRED = "McNemar's exact test", "the two-proportion z test"


@dataclass(frozen=True, slots=True)
class Ties:
    """The candidates tied with the best of `compared`; `test`: the name of the test with its level and correction."""

    tied: tuple[Trial, ...]
    compared: int
    test: str


def ties(view: RunView, ranked: Sequence[Trial]) -> Ties:
    """Compare the best of a ranking with the others."""
    among = ranked[:MOST]
    images = int(view.content["data"]["validation"])
    answers = {trial.trial: answers_of(view, trial) for trial in among}
    paired = None not in answers.values()
    raw = {
        (one.trial, other.trial): _paired(answers[one.trial], answers[other.trial])
        if paired
        else two_shares(one.score or 0.0, other.score or 0.0, (images, images))
        for one, other in combinations(among, 2)
    }
    corrected = holm(raw)
    tied = tuple(other for other in among[1:] if corrected[among[0].trial, other.trial] > LEVEL)
    pairs = f", Holm's correction for {len(raw):,} pairs" if len(raw) > 1 else ""
    return Ties(tied, len(among), f"{PAIRED if paired else UNPAIRED} at 5 %{pairs}")


def p_of(views: tuple[RunView, RunView], trials: tuple[Trial, Trial]) -> tuple[float, str]:
    """Return the p value that two trials are equally accurate, and the test; paired if the views share their split."""
    first, second = views
    same = first.content["data"].get("arrays") == second.content["data"].get("arrays")
    bits = [answers_of(view, trial) if same else None for view, trial in zip(views, trials, strict=True)]
    if None not in bits:
        return _paired(*bits), PAIRED
    images = (int(first.content["data"]["validation"]), int(second.content["data"]["validation"]))
    return two_shares(trials[0].score or 0.0, trials[1].score or 0.0, images), UNPAIRED


def reach_of(view: RunView, one: Trial, other: Trial) -> float:
    """Return half the width of the 95 % confidence interval of the difference of two trials' accuracies.

    Wald's interval for paired proportions if the answers are stored (Newcombe 1998, method 1 for paired data), and
    otherwise for independent ones, which is wider.
    """
    images = int(view.content["data"]["validation"])
    first, second = (answers_of(view, trial) for trial in (one, other))
    if first is None or second is None:
        variance = sum((trial.score or 0.0) * (1 - (trial.score or 0.0)) for trial in (one, other))
    else:
        only, lacking = (first & ~second).bit_count() / images, (second & ~first).bit_count() / images
        variance = only + lacking - (only - lacking) ** 2
    return _NORMAL * math.sqrt(max(0.0, variance) / images)


def _paired(first: int | None, second: int | None) -> float:
    one, other = first or 0, second or 0
    return mcnemar((one & ~other).bit_count(), (other & ~one).bit_count())
