"""The influence of the axes on the accuracy: parallel coordinates, importance, marginal effects."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from resnet_search.report.document import Bullets, Code, Figure, Paragraph, Section, Table, Text
from resnet_search.report.figures.noise import TEST, clear_axes
from resnet_search.report.figures.plot import (
    BLUE,
    LEGEND,
    ORANGE,
    PATTERNS,
    SCALE,
    SHARE,
    SYMBOLS,
    between,
    figure,
    from_plotly,
)
from resnet_search.report.figures.reading import Reading
from resnet_search.report.figures.study import Values, quiet, study_of, varying
from resnet_search.report.units import counted, percent, thinned
from resnet_search.runs.axes import in_order

# PED-ANOVA needs five candidates among the best, which are a tenth by default (Optuna's documentation).
FEWEST = 20
_AMONG_BEST, _TENTH = 5, 0.1
MOST_LINES = 150
_MOST_AXES, _MOST_VALUES = 10, 12
_PER_ROW, _AROUND, _PER_AXIS = 26, 150, 84
_LEVEL_COLOURS = (BLUE, ORANGE)


@dataclass(frozen=True, slots=True)
class Level:
    """Comparable candidates: the scores of all that were trained to `epochs`, and their values on the axes."""

    epochs: float
    scores: dict[int, float]
    values: dict[int, Values]

    @property
    def clear(self) -> set[str]:
        """Return the axes with an effect beyond the noise."""
        return clear_axes(self.values, self.scores)

    @property
    def short(self) -> str:
        return f"after {counted(self.epochs, 'epoch')}"

    @property
    def name(self) -> str:
        return f"{self.short} ({counted(len(self.scores), 'candidate')})"


@dataclass(frozen=True, slots=True)
class Marginal:
    """The mean score of the candidates with a value on an axis, over all other axes; `error`: standard error."""

    axis: str
    value: str
    candidates: int
    mean: float
    error: float | None


def sections(reading: Reading) -> tuple[Section, ...]:
    """Return parallel coordinates, importance and effects; nothing if no axis varies."""
    levels = _levels(reading)
    if not levels:
        return ()
    return (_parallel(levels[-1]), _importance(levels), _effects(levels))


def _levels(reading: Reading) -> list[Level]:
    """Return the first rung, with the most candidates, and the last rung with enough candidates."""
    values = varying(reading)
    if not any(values.values()):
        return []
    scores = [(epochs, reading.scores_at(epochs)) for epochs in reading.rungs]
    found = [Level(epochs, own, {number: values[number] for number in own}) for epochs, own in scores if len(own) > 1]
    enough = [level for level in found if len(level.scores) >= FEWEST] or found[:1]
    return [*found[:1], *(level for level in enough[-1:] if level is not found[0])]


def _parallel(level: Level) -> Section:
    """Return Optuna's plot; of very many candidates it shows some, including the best."""
    import optuna

    ranked = sorted(level.scores, key=lambda number: -level.scores[number])
    shown = [ranked[place] for place in thinned(len(ranked), MOST_LINES)]
    names = list(dict.fromkeys(axis for number in shown for axis in level.values[number]))
    with quiet():
        study = study_of(level.values, {number: level.scores[number] for number in shown})
        plot = optuna.visualization.plot_parallel_coordinate(study, params=names[:_MOST_AXES], target_name="accuracy")
    # Optuna's colours suit only a white page; the first value of a line is its score, from 0 to 1.
    for trace in plot.data:
        if trace.mode == "lines":
            trace.line.color, trace.opacity = between(ORANGE, BLUE, trace.y[0]), 0.8
        else:
            trace.marker.update(colorscale=[list(stop) for stop in SCALE], reversescale=False)
            trace.marker.colorbar.update(thickness=12, tickformat=".3~p", title=None)
    plot.layout.update(title=None, plot_bgcolor=None, margin={"l": 44, "r": 16, "t": 40, "b": 64})
    plot.update_annotations(font_color=None, bgcolor=None)
    left_out = "".join(
        (
            f" {len(ranked) - len(shown):,} candidates, evenly spread over the ranking, are left out."
            if len(shown) < len(ranked)
            else "",
            f" {len(names) - _MOST_AXES} more axes are in `trials --json`." if len(names) > _MOST_AXES else "",
        )
    )
    best = level.values[ranked[0]]
    alternative = (
        f"Each line is a candidate {level.name}. Its height on an axis is its value there, or None if the axis does "
        f"not apply to its block. Blue lines are accurate, orange ones are not. The best candidate: "
        f"{', '.join(f'{axis} {value}' for axis, value in best.items())}.{left_out}"
    )
    made = from_plotly(
        "parallel", "Parallel coordinates", plot, alternative, height=440, width=_PER_AXIS * (len(names) + 2)
    )
    return Section("Which values go together", (made,))


def _importance(levels: list[Level]) -> Section:
    """PED-ANOVA (Watanabe et al. 2023), with axes that only some candidates have."""
    title = "Which axis matters"
    enough = [level for level in levels if len(level.scores) >= FEWEST]
    if not enough:
        most = max(len(level.scores) for level in levels)
        return Section(title, (Paragraph(f"{counted(most, 'candidate')} so far; importance needs {FEWEST}."),))
    enough = [level for level in enough if level.clear]
    if not enough:
        return Section(title, (Paragraph(f"No axis has an effect beyond the noise ({TEST})."),))
    found = [(level, importances(level)) for level in enough]
    names = sorted(found[-1][1], key=lambda axis: -found[-1][1][axis])
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (Code(axis), *(_share(level, own, axis) for level, own in found)) for axis in names
    )
    header: tuple[Text, ...] = ("Axis", *(f"{level.short[0].upper()}{level.short[1:]}" for level, _ in found))
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": level.name,
            "y": names,
            "x": [own.get(axis, 0.0) for axis in names],
            "marker": {"color": colour, "pattern": {"shape": shape}},
            "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
        }
        for (level, own), colour, shape in zip(found, _LEVEL_COLOURS, PATTERNS, strict=False)
    ]
    layout = {
        "xaxis": {"title": {"text": "share of the importance"}, "tickformat": ".0%", "automargin": True},
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
        "legend": LEGEND,
    }
    last, own = found[-1]
    shares = "; ".join(f"{axis} {percent(own[axis], 0)}" for axis in names if axis in last.clear)
    told = f"Importance {last.name}, beyond the noise: {shares}."
    plot = figure("importance", "Importance of each axis", traces, layout, told,
                  height=_AROUND + 2 * _PER_ROW * len(names))  # fmt: skip
    return Section(title, (Paragraph(_TOLD), plot, Table(header, rows, right=frozenset({1, 2})), Bullets(_CAVEATS)))


def _share(level: Level, own: Mapping[str, float], axis: str) -> str:
    return f"{percent(own.get(axis, 0.0), 0)}{'' if axis in level.clear else ', noise'}"


_TOLD = (
    "PED-ANOVA (Watanabe et al. 2023) measures how much the best candidates differ from all candidates in their values "
    "on an axis. Its conditional form counts an axis only for the candidates that it applies to, such as the "
    "cardinality in blocks with groups. Shares of axes without an effect beyond the noise are marked: their size means "
    f"nothing ({TEST})."
)
_BEST = (
    "Importance is about being among the best tenth (the best five if there are few candidates), not about the mean "
    "accuracy. An axis whose values are equally common among the best has none."
)
_NO_DIRECTION = (
    "Importance shows that an axis matters, but not which value is best (see the effects below) or how axes interact."
)
_TOGETHER = (
    "The limits tie some axes together (a wide network must be shallow), so one axis may get the credit for another."
)
_CHOSEN = (
    "Candidates that were trained in full were selected by their early scores, which hides what they have in common."
)
_CAVEATS = (_BEST, _NO_DIRECTION, _TOGETHER, _CHOSEN)


def importances(level: Level) -> dict[str, float]:
    """Return the importance of each axis; the sum is 1."""
    import optuna

    quantile = max(_TENTH, _AMONG_BEST / len(level.scores))
    with quiet():
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
        study = study_of(level.values, level.scores)
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _effects(levels: list[Level]) -> Section:
    found = [(level, marginals(level)) for level in levels]
    many = any(len({one.value for one in own if one.axis == axis}) > _MOST_VALUES for _, own in found
               for axis in {one.axis for one in own})  # fmt: skip
    told = (
        "The mean accuracy of the candidates with each value, with one standard error. These candidates differ in "
        "other axes, too: within a limit, for example, a deeper network is narrower."
    )
    more = "" if not many else f" An axis with more than {_MOST_VALUES} values shows {_MOST_VALUES}."
    more += f" The last column shows whether the axis has an effect beyond the noise ({TEST}); others show nothing."
    rows = [
        (Code(one.axis), Code(one.value), level.short, f"{one.candidates:,}", percent(one.mean),
         "" if one.error is None else percent(one.error), "yes" if one.axis in level.clear else "no")
        for level, own in found
        for one in own
    ]  # fmt: skip
    header = ("Axis", "Value", "Trained", "Candidates", "Mean accuracy", "Standard error", "Beyond the noise")
    table = Table(header, tuple(rows), right=frozenset({3, 4, 5}))
    return Section("What each value does", (Paragraph(told + more), _effect_figure(found), table))


def _effect_figure(found: list[tuple[Level, list[Marginal]]]) -> Figure:
    # Every candidate trains in the first rung, so it has all values.
    rows = [f"{one.axis} {one.value}" for one in found[0][1]]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": level.name,
            "y": [f"{one.axis} {one.value}" for one in own],
            "x": [one.mean for one in own],
            "error_x": {"type": "data", "array": [one.error or 0.0 for one in own], "color": colour, "thickness": 1.5},
            "text": [f"{one.axis} {one.value}, {counted(one.candidates, 'candidate')}" for one in own],
            "hovertemplate": "%{text}<br>%{x:.2%}<extra></extra>",
            "marker": {"color": colour, "size": 9, "symbol": symbol},
        }
        for (level, own), colour, symbol in zip(found, _LEVEL_COLOURS, SYMBOLS, strict=False)
    ]
    level, own = found[-1]
    best = {
        axis: max((one for one in own if one.axis == axis), key=lambda one: one.mean)
        for axis in _axes(own)
        if axis in level.clear
    }
    alternative = f"No axis has an effect beyond the noise {level.name}"
    if best:
        alternative = f"The highest mean of each axis with an effect beyond the noise, {level.name}: " + "; ".join(
            f"{axis} {one.value} with {percent(one.mean)} on average" for axis, one in best.items()
        )
    layout = {
        "xaxis": {"title": {"text": "mean validation accuracy"}, **SHARE},
        "yaxis": {"type": "category", "categoryorder": "array", "categoryarray": rows[::-1], "automargin": True},
        "legend": LEGEND,
    }
    return figure("effects", "Marginal effects", traces, layout, f"{alternative}.",
                  height=_AROUND + _PER_ROW * len(rows))  # fmt: skip


def marginals(level: Level) -> list[Marginal]:
    """Return the marginal of each axis and value."""
    return [one for axis in sorted(_names(level.values)) for one in _marginals_of(level, axis)]


def _marginals_of(level: Level, axis: str) -> Iterable[Marginal]:
    groups: dict[Any, list[float]] = {}
    for number, score in level.scores.items():
        if axis in level.values[number]:
            groups.setdefault(level.values[number][axis], []).append(score)
    order = in_order(set(groups))
    for value in [order[place] for place in thinned(len(order), _MOST_VALUES)]:
        scores = groups[value]
        error = statistics.stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else None
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        yield Marginal(axis, text, len(scores), statistics.fmean(scores), error)


def _names(values: Mapping[int, Values]) -> set[str]:
    return {axis for own in values.values() for axis in own}


def _axes(found: list[Marginal]) -> list[str]:
    return list(dict.fromkeys(one.axis for one in found))
