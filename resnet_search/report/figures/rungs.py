"""Measure whether short training predicts long training on these images, the assumption behind halving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_search.report.document import Block, Figure, Paragraph, Section, Strong, Table, Text
from resnet_search.report.figures.plot import SCALE, figure
from resnet_search.report.figures.reading import Reading
from resnet_search.report.units import percent

# With fewer, the interval is too wide to be useful.
FEWEST = 5
_CLOSE, _LOOSE = 0.8, 0.5
_NORMAL = 1.96
_WIDE = 0.9


@dataclass(frozen=True, slots=True)
class Agreement:
    """For candidates trained to epoch `late`: how well their ranking after epoch `early` agrees with the last one.

    `rho`: Spearman's rank correlation, with its 95 % interval. `kept`: the share of the best `chosen` at the end that
    are among the best `chosen` after the early epoch, too.
    """

    early: float
    late: float
    candidates: int
    rho: float
    low: float
    high: float
    chosen: int
    kept: float


def agreement(early: Sequence[float], late: Sequence[float], epochs: tuple[float, float], factor: int) -> Agreement:
    """Compare two lists of scores of the same candidates in the same order.

    The interval is Fisher's, with the variance of Bonett and Wright 2000, (1 + rho²/2) / (n - 3).
    """
    from scipy.stats import spearmanr

    count = len(early)
    constant = len(set(early)) == 1 or len(set(late)) == 1
    rho = 0.0 if constant else float(spearmanr(early, late).statistic)
    reach = _NORMAL * math.sqrt((1 + rho**2 / 2) / (count - 3))
    # Fisher's transform of a perfect agreement is infinite.
    middle = math.atanh(max(-0.9999, min(0.9999, rho)))
    chosen = max(1, round(count / factor))
    first, last = (set(sorted(range(count), key=lambda at: -scores[at])[:chosen]) for scores in (early, late))
    return Agreement(*epochs, count, rho, math.tanh(middle - reach), math.tanh(middle + reach), chosen,
                     len(first & last) / chosen)  # fmt: skip


def between(reading: Reading) -> list[Agreement]:
    """Return the agreement of each pair of rungs with enough candidates."""
    factor = int(reading.view.content["space"]["hyperband"]["factor"])
    found = []
    for at, early in enumerate(reading.rungs):
        for late in reading.rungs[at + 1 :]:
            first, last = reading.promoting_at(early), reading.scores_at(late)
            both = sorted(first.keys() & last.keys())
            if len(both) >= FEWEST:
                pair = [first[number] for number in both], [last[number] for number in both]
                found.append(agreement(*pair, (early, late), factor))
    return found


def predicted(reading: Reading) -> tuple[Section, ...]:
    """Return a table, a plot and advice; nothing for a run without rungs."""
    if len(reading.rungs) < 2:  # noqa: PLR2004
        return ()
    found = between(reading)
    title = "Does an early rung predict a late one?"
    if not found:
        text = f"Fewer than {FEWEST} candidates have completed two rungs, too few for an answer."
        return (Section(title, (Paragraph(text),)),)
    by = "loss" if reading.view.promotes_by_loss else "accuracy"
    told = (
        f"Rank correlation (Spearman) of the validation {by} in one rung with the accuracy in a later one, over all "
        "candidates that reached the later rung: 1 is the same order, 0 no relation. Most of these candidates were "
        "promoted for their early results. That narrows the range of these and makes the correlation smaller than over "
        "all candidates."
    )
    rows = tuple(
        (
            f"{one.early}",
            f"{one.late}",
            f"{one.candidates:,}",
            f"{one.rho:.2f}",
            f"{one.low:.2f} to {one.high:.2f}",
            f"{percent(one.kept, 0)} of {one.chosen}",
        )
        for one in found
    )
    header = ("After epoch", "Against epoch", "Candidates", "Rank correlation", "95 % interval",
              "Best ones found early")  # fmt: skip
    blocks: list[Block] = [Paragraph(told), Paragraph(_advice(reading, found))]
    blocks += [Table(header, rows, right=frozenset({0, 1, 2, 3})), _figure(found)]
    return (Section(title, tuple(blocks)),)


def _advice(reading: Reading, found: list[Agreement]) -> Text:
    """Return the conclusion from the earliest rung and the latest one with enough candidates."""
    late = max(one.late for one in found)
    first = min((one for one in found if one.late == late), key=lambda one: one.early)
    factor = int(reading.view.content["space"]["hyperband"]["factor"])
    words = (
        f" Epoch {first.early} against epoch {first.late}: {first.rho:.2f} over {first.candidates:,} candidates "
        f"(95 % interval {first.low:.2f} to {first.high:.2f}). "
    )
    if first.high - first.low > _WIDE:
        verdict, advice = "Unclear.", "The interval is too wide for advice. Train more candidates or --iterations."
    elif first.rho >= _CLOSE:
        verdict = "Yes."
        advice = f"Short training ranks well here: --factor {factor + 1} would stop more candidates early at low risk."
    elif first.rho >= _LOOSE:
        verdict = "Partly."
        advice = "Halving finds good candidates, but not always the best; several brackets help. Keep the factor."
    else:
        verdict = "Hardly."
        fewer = f"--factor {factor - 1}, which stops fewer candidates, " if factor > 2 else ""  # noqa: PLR2004
        advice = (
            "Early scores say little about late ones. Try a larger --min-epochs, so that the first comparison comes "
            f'later, {fewer}or a smaller space trained in full with method = "grid".'
        )
    return (Strong(verdict), words, advice)


def _figure(found: list[Agreement]) -> Figure:
    epochs = sorted({one.early for one in found} | {one.late for one in found})
    values = {(one.early, one.late): one for one in found}
    rows = [[values.get((early, late)) for early in epochs[:-1]] for late in epochs[1:]]
    heatmap = {
        "type": "heatmap",
        "x": [f"epoch {epoch}" for epoch in epochs[:-1]],
        "y": [f"epoch {epoch}" for epoch in epochs[1:]],
        "z": [[None if one is None else round(one.rho, 4) for one in row] for row in rows],
        "text": [["" if one is None else f"{one.rho:.2f}<br>n={one.candidates:,}" for one in row] for row in rows],
        "texttemplate": "%{text}",
        # The text gives the number, because the middle grey is hard to read.
        "textfont": {"color": "#ffffff"},
        "zmin": -1,
        "zmax": 1,
        "colorscale": [list(stop) for stop in SCALE],
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "%{x} against %{y}: %{z:.2f}<extra></extra>",
        "colorbar": {"thickness": 12, "len": 0.9},
    }
    alternative = "Rank correlation between rungs: " + "; ".join(
        f"epoch {one.early} and {one.late}: {one.rho:.2f} (n = {one.candidates:,})" for one in found
    )
    layout = {"xaxis": {"type": "category", "automargin": True}, "yaxis": {"type": "category", "automargin": True}}
    return figure("agreement", "Rank correlation between rungs", [heatmap], layout, f"{alternative}.",
                  height=160 + 70 * len(rows))  # fmt: skip
