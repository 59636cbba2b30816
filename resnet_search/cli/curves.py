"""Curves in one line of text, for any terminal."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from functools import cache

from resnet_search.reading import LOG, read_bytes
from resnet_search.report.units import sparkline
from resnet_search.runs.trials import RunView, Trial
from resnet_search.training.job import HISTORY

# ASCII bars, from low to high, and the sign for a number that is not finite.
_BARS, _PLAIN = "▁▂▃▄▅▆▇█·", "_.:-=+*#x"
WIDTH = 16  # cells of a curve in a table
# Matches one line of a history. Parsed as JSON, 100 trials of 81 epochs would take 0.05 s.
_ACCURACY = re.compile(rb'^\{"epoch": ([\d.]{1,12}),.*?"val_accuracy": ([^,}]+)', re.MULTILINE)


def spark(values: Sequence[float], width: int = WIDTH, span: tuple[float, float] | None = None) -> str:
    """Draw a `sparkline` that standard output can show: in ASCII if its encoding has no bars."""
    curve = sparkline(values, width, span)
    return curve if _has_bars(sys.stdout.encoding or "ascii") else curve.translate(str.maketrans(_BARS, _PLAIN))


@cache
def _has_bars(encoding: str) -> bool:
    try:
        _BARS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def learning_curves(view: RunView, trials: Sequence[Trial]) -> list[str]:
    """Draw each trial's validation accuracy since its candidate's first epoch, all on one scale."""
    found = [_accuracies(view, trial) for trial in trials]
    every = [value for curve in found for value in curve.values() if math.isfinite(value)]
    if not every:
        return [""] * len(trials)
    span = (min(every), max(every))
    width = min(WIDTH, view.max_epochs)
    lengths = [max(1, round(width * max(curve, default=0) / max(1, view.max_epochs))) for curve in found]
    return [spark(list(curve.values()), length, span) for curve, length in zip(found, lengths, strict=True)]


def _accuracies(view: RunView, trial: Trial) -> dict[float, float]:
    """Return the accuracies by epoch; none if the history cannot be read, which `show` and `doctor` report."""
    found: dict[float, float] = {}
    try:
        for link in view.chain(trial):
            text = read_bytes(view.folder.trial(link.trial) / HISTORY, LOG)
            found |= {float(epoch): float(value) for epoch, value in _ACCURACY.findall(text)}
    except (OSError, ValueError):
        return {}
    return {epoch: found[epoch] for epoch in sorted(found) if epoch <= trial.epochs}
