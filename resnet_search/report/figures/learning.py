"""Plot learning curves, grouped by the length of training."""

from __future__ import annotations

from typing import Any

from resnet_search.report.document import Block, Figure, Paragraph, Section, Text
from resnet_search.report.figures.plot import COLOURS, DASHES, LEGEND, RED, SHARE, figure, label
from resnet_search.report.figures.reading import Reading, named
from resnet_search.report.kind import accuracy_name
from resnet_search.report.units import counted, percent, thinned
from resnet_search.runs.trials import Trial

# Per rung; more are unreadable, and slow on a phone.
MOST_CURVES = 30
_MOST_POINTS, _MARKED = 150, 20


def curves(reading: Reading) -> tuple[Section, ...]:
    """Plot all curves, the best one in front."""
    groups: dict[float, list[int]] = {}
    for number in reading.curves:
        groups.setdefault(reading.trials[number].epochs, []).append(number)
    if not groups:
        return ()
    left_out = sum(max(0, len(group) - MOST_CURVES) for group in groups.values())
    blocks: list[Block] = []
    if left_out:
        blocks.append(
            Paragraph(
                f"The plot shows {MOST_CURVES} curves of each length, evenly spread from the best to the worst, and "
                f"leaves out {left_out:,}."
            )
        )
    if reading.unread:
        blocks.append(Paragraph(f"The histories of {counted(reading.unread, 'candidate')} are missing or damaged."))
    return (Section("Learning curves", (*blocks, _figure(reading, groups))),)


def _figure(reading: Reading, groups: dict[float, list[int]]) -> Figure:
    traces = []
    for at, (epochs, numbers) in enumerate(sorted(groups.items())):
        ranked = sorted(numbers, key=lambda number: -max(reading.curves[number].items())[1])
        shown = [ranked[place] for place in thinned(len(ranked), MOST_CURVES)]
        # Red is reserved for the best one.
        colours = [colour for colour in COLOURS if colour != RED]
        look = colours[at % len(colours)], DASHES[at % len(DASHES)]
        traces.append(_together(reading, shown, f"to epoch {epochs} ({len(numbers):,})", *look))
    leader = reading.view.leader
    if leader is not None and leader.candidate in reading.curves:
        best = _together(reading, [leader.candidate], "the best", RED)
        best |= {"line": {"color": RED, "width": 3}, "opacity": 1}
        traces.append(best)
    what = accuracy_name(reading.view)
    layout = {
        "xaxis": {"title": {"text": "epoch"}, "automargin": True, "rangemode": "tozero"},
        "yaxis": {"title": {"text": what.lower()}, **SHARE},
        "legend": LEGEND,
    }
    return figure("curves", f"{what}, by epoch", traces, layout, _alternative(reading, groups, leader),
                  height=480)  # fmt: skip


def _together(reading: Reading, numbers: list[int], name: str, colour: str, dash: str = "solid") -> dict[str, Any]:
    """Return several curves as one trace with gaps, because Plotly slows down with traces, not with points."""
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for number in numbers:
        curve = sorted(reading.curves[number].items())
        chosen = [curve[place] for place in thinned(len(curve), _MOST_POINTS)]
        x += [*(epoch for epoch, _ in chosen), None]
        y += [*(score for _, score in chosen), None]
        text += [label(reading.trials[number].name)] * (len(chosen) + 1)
    return {
        "type": "scatter",
        # A curve of a single epoch needs a marker.
        "mode": "lines+markers" if all(len(reading.curves[number]) < _MARKED for number in numbers) else "lines",
        "marker": {"size": 4, "color": colour},
        "line": {"width": 1.2, "color": colour, "dash": dash},
        "opacity": 0.8,
        "name": name,
        "x": x,
        "y": y,
        "text": text,
        "hovertemplate": "%{text}<br>epoch %{x}: %{y:.2%}<extra></extra>",
    }


def _alternative(reading: Reading, groups: dict[float, list[int]], leader: Trial | None) -> Text:
    told = []
    for epochs, numbers in sorted(groups.items()):
        ends = [max(reading.curves[number].items())[1] for number in numbers]
        span = percent(min(ends)) if len(ends) == 1 else f"{percent(min(ends))} to {percent(max(ends))}"
        told.append(f"{counted(len(numbers), 'candidate')} trained to epoch {epochs}: {span} at the end.")
    best: tuple[Any, ...] = ()
    if leader is not None and len(reading.curves) > 1:
        words = named(leader)
        best = (" The best is ", *(words if isinstance(words, tuple) else (words,)), ".")
    return (" ".join(told), *best)
