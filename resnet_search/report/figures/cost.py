"""Accuracy against cost: the candidates, the Pareto front, and published networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resnet_search.networks.presets import PRESETS, Preset
from resnet_search.report.document import Block, Figure, Paragraph, Section
from resnet_search.report.figures.plot import BLUE, GREY, LEGEND, ORANGE, PURPLE, RED, SHARE, figure, label
from resnet_search.report.figures.reading import Reading
from resnet_search.report.pareto import front
from resnet_search.report.units import counted, large, percent
from resnet_search.runs.trials import COMPLETED, Trial

_COSTS = {"params": "trainable parameters", "macs": "multiply-adds of one image"}


def against_cost(reading: Reading) -> tuple[Section, ...]:
    """Plot the candidates trained the longest against both costs; nothing with fewer than two."""
    epochs = max((trial.epochs for trial in reading.trials.values()), default=0)
    trials = [trial for trial in reading.trials.values() if trial.epochs == epochs and trial.score is not None]
    if len(trials) < 2:  # noqa: PLR2004 - one point is no comparison
        return ()
    published = _published(reading)
    blocks: list[Block] = [
        Paragraph(
            f"{counted(len(trials), 'candidate')} trained for {counted(epochs, 'epoch')}; candidates with fewer epochs "
            "are left out. No network of the same or lower cost beats a network on the Pareto front."
        )
    ]
    if published:
        blocks.append(
            Paragraph(
                f"Published networks ({len(published)}) are shown with their published CIFAR-10 test accuracies. They "
                "were measured on other images after different, mostly longer training, so use them for orientation "
                "only."
            )
        )
    blocks += [_figure(reading, trials, published, cost) for cost in _COSTS]
    return (Section("Accuracy and cost as a picture", tuple(blocks)),)


def _published(reading: Reading) -> list[Preset]:
    """List the networks with a published error on the data set of this run."""
    if reading.view.content["data"]["source"] != "cifar10":
        return []
    return [one for one in PRESETS.values() if one.error is not None and one.architecture.stem == "cifar"]


def _figure(reading: Reading, trials: list[Trial], published: list[Preset], cost: str) -> Figure:
    on = front([(one.score or 0.0, float(getattr(one, cost))) for one in trials])
    best = sorted((one for one, kept in zip(trials, on, strict=True) if kept), key=lambda one: one.score or 0.0)
    winner = max(trials, key=lambda one: one.score or 0.0)
    known = [one for one in reading.view.baselines if one.status == COMPLETED]
    line = _points("Pareto front", best, cost, {"color": ORANGE, "size": 9})
    line |= {"mode": "lines+markers", "line": {"shape": "hv", "color": ORANGE, "width": 2}}
    traces = [
        _points("Candidates", trials, cost, {"color": BLUE, "size": 6, "opacity": 0.6}),
        line,
        _points("The best", [winner], cost, {"color": RED, "size": 15, "symbol": "star"}),
    ]
    if known:
        traces.append(_points("Known, trained here", known, cost, {"color": PURPLE, "size": 10, "symbol": "diamond"}))
    if published:
        traces.append(_presets(published, cost))
    smallest, largest = best[0], best[-1]
    words = _COSTS[cost]
    alternative = (
        f"Validation accuracy of {counted(len(trials), 'candidate')} against {words}, on a logarithmic axis. "
        f"{counted(len(best), 'network')} on the Pareto front, from {percent(smallest.score)} with "
        f"{large(getattr(smallest, cost))} to {percent(largest.score)} with {large(getattr(largest, cost))}."
    )
    layout: dict[str, Any] = {
        "xaxis": {"type": "log", "title": {"text": words}, "automargin": True},
        "yaxis": {"title": {"text": "validation accuracy"}, **SHARE},
        "legend": LEGEND,
    }
    return figure(f"cost-{cost}", f"Accuracy against {words}", traces, layout, alternative, height=480)


def _points(name: str, trials: Sequence[Trial], cost: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [getattr(trial, cost) for trial in trials],
        "y": [trial.score for trial in trials],
        "text": [f"{label(trial.name)}<br>trial {trial.trial}" for trial in trials],
        "hovertemplate": f"%{{text}}<br>%{{x:,}} {_COSTS[cost]}<br>%{{y:.2%}}<extra></extra>",
        "marker": marker,
    }


def _presets(published: list[Preset], cost: str) -> dict[str, Any]:
    counts = {"params": "trainable", "macs": "macs"}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "Published (test)",
        "x": [getattr(one.complexity, counts[cost]) for one in published],
        "y": [1 - (one.error or 0.0) / 100 for one in published],
        "text": [f"{label(one.name)}<br>{label(one.source, 80)}" for one in published],
        "hovertemplate": f"%{{text}}<br>%{{x:,}} {_COSTS[cost]}<br>%{{y:.2%}}, test<extra></extra>",
        "marker": {"color": GREY, "size": 9, "symbol": "x-thin", "line": {"width": 2, "color": GREY}},
    }
