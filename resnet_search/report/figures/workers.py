"""Plot the timeline of the workers: when each trial was trained."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from resnet_search.report.document import Figure, Paragraph, Section
from resnet_search.report.figures.plot import BLUE, GREEN, GREY, LEGEND, PATTERNS, RED, figure, label
from resnet_search.report.units import counted, duration, moment, percent
from resnet_search.runs.trials import COMPLETED, FAILED, RUNNING, RunView, Trial

# With more, bars are thinner than a pixel.
MOST_BARS = 1500
_STRETCHES = 300
_COLOUR = {COMPLETED: BLUE, RUNNING: GREEN, FAILED: RED}
_PER_LANE, _AROUND = 44, 170


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a trial in one session; seconds since 1970."""

    trial: Trial
    begin: float
    end: float


def timeline(view: RunView) -> tuple[Section, ...]:
    """Plot one bar per trial, or with very many trials the number of busy workers."""
    found = sorted(stretches(view), key=lambda one: one.begin)
    if not found:
        return ()
    slots = max(1, int(view.content["workers"]["slots"]))
    busy = sum(one.end - one.begin for one in found)
    share = min(1.0, busy / (slots * view.seconds)) if view.seconds > 0 else 0.0
    told = (
        f"{counted(slots, 'worker')}, busy for {percent(share, 0)} of the {duration(view.seconds)} of "
        f"{counted(len(view.sessions), 'session')}. A trial counts from its creation to its result."
    )
    if len(found) > MOST_BARS:
        return (Section("The workers", (Paragraph(told), _usage(view, found, slots))),)
    rows = " Events do not record the worker, so each bar is drawn in the first free row."
    return (Section("The workers", (Paragraph(told + rows), _bars(found))),)


def stretches(view: RunView) -> Iterable[Stretch]:
    """Return the trials that trained, cut at the ends of sessions."""
    for trial in view.trials.values():
        if not trial.was_trained:
            continue
        for begin, end in view.sessions:
            first, last = max(begin, trial.created), min(end, trial.ended if trial.ended is not None else end)
            if first < last:
                yield Stretch(trial, first, last)


def lanes(found: list[Stretch]) -> list[int]:
    """Return the row of each stretch, by their start: the lowest free row."""
    rows, free, busy, made = [], list[int](), list[tuple[float, int]](), 0
    for one in found:
        while busy and busy[0][0] <= one.begin:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            row = heapq.heappop(free)
        else:
            row, made = made, made + 1
        rows.append(row)
        heapq.heappush(busy, (one.end, row))
    return rows


def _bars(found: list[Stretch]) -> Figure:
    rows = lanes(found)
    traces: list[dict[str, Any]] = []
    for (status, colour), shape in zip(_COLOUR.items(), PATTERNS, strict=False):
        shown = [(one, row) for one, row in zip(found, rows, strict=True) if one.trial.status == status]
        if shown:
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": status,
                    "base": [_clock(one.begin) for one, _ in shown],
                    "x": [1000 * (one.end - one.begin) for one, _ in shown],
                    "y": [f"row {row + 1}" for _, row in shown],
                    "text": [_words(one) for one, _ in shown],
                    "textposition": "none",
                    "hovertemplate": "%{text}<extra></extra>",
                    "marker": {"color": colour, "line": {"color": GREY, "width": 1}, "pattern": {"shape": shape}},
                }
            )
    states = ", ".join(f"{trace['name']} {len(trace['x']):,}" for trace in traces)
    alternative = (
        f"{counted(len(found), 'bar')} in {counted(max(rows) + 1, 'row')} ({states}), from {moment(found[0].begin)}."
    )
    order = [f"row {row + 1}" for row in range(max(rows) + 1)]
    layout = {
        "barmode": "overlay",
        "xaxis": {"type": "date", "automargin": True, "title": {"text": "UTC"}},
        "yaxis": {"type": "category", "categoryorder": "array", "categoryarray": order[::-1], "automargin": True},
        "legend": LEGEND,
    }
    return figure("timeline", "Timeline of the trials", traces, layout, alternative,
                  height=min(900, _AROUND + _PER_LANE * len(order)))  # fmt: skip


def _words(one: Stretch) -> str:
    trial = one.trial
    epochs = f"epochs {trial.initial_epoch} to {trial.epochs}"
    return f"trial {trial.trial}, {trial.status}<br>{label(trial.name)}<br>{epochs}, {duration(one.end - one.begin)}"


def _usage(view: RunView, found: list[Stretch], slots: int) -> Figure:
    """Plot the mean number of busy workers in each of some hundred equal parts of the time."""
    begin, end = view.sessions[0][0], view.sessions[-1][1]
    width = (end - begin) / _STRETCHES
    seconds = [0.0] * _STRETCHES
    for one in found:
        first, last = int((one.begin - begin) / width), min(_STRETCHES - 1, int((one.end - begin) / width))
        for at in range(first, last + 1):
            seconds[at] += min(one.end, begin + (at + 1) * width) - max(one.begin, begin + at * width)
    busy = [value / width for value in seconds]
    trace = {
        "type": "scatter",
        "mode": "lines",
        "line": {"shape": "hv", "color": BLUE},
        "fill": "tozeroy",
        "x": [_clock(begin + at * width) for at in range(_STRETCHES)],
        "y": [round(value, 3) for value in busy],
        "hovertemplate": "%{x}<br>%{y:.2f} workers busy<extra></extra>",
    }
    alternative = (
        f"{counted(len(found), 'trial')} are too many for one bar each. Mean number of busy workers, of {slots}, in "
        f"each {duration(width)}: from {min(busy):.1f} to {max(busy):.1f}."
    )
    layout = {
        "xaxis": {"type": "date", "automargin": True, "title": {"text": "UTC"}},
        "yaxis": {"title": {"text": "workers busy"}, "rangemode": "tozero", "automargin": True},
    }
    return figure("timeline", "Workers busy", [trace], layout, alternative, height=320)


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
