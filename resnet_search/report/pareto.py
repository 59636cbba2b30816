"""The Pareto fronts of a run, one for each cost: networks that no other beats in accuracy at the same cost or less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resnet_search.report.document import Block, Code, Paragraph, Section, Table, Text
from resnet_search.report.kind import is_single
from resnet_search.report.learning import learning
from resnet_search.report.units import large, percent
from resnet_search.runs.latency import SAVED_MODEL, alone, read_latencies
from resnet_search.runs.trials import RunView, Trial

PARAMETERS, MACS, LATENCY = "parameters", "MACs", "latency"


@dataclass(frozen=True, slots=True)
class Place:
    """A trial on the fronts `on`; `latency`: milliseconds for one image on the processor, if measured."""

    trial: Trial
    latency: float | None
    on: tuple[str, ...]


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return which points (gain, cost) are not beaten: no other has as much gain at less cost, or more at no more cost.

    Equal points are on the front together.
    """
    on = [False] * len(points)
    best, cheapest = float("-inf"), float("inf")
    for at in sorted(range(len(points)), key=lambda at: (points[at][1], -points[at][0])):
        gain, cost = points[at]
        if gain > best or (gain, cost) == (best, cheapest):
            on[at] = True
            best, cheapest = gain, cost
    return on


def pareto(trials: Sequence[Trial], latencies: Mapping[str, float]) -> list[Place]:
    """List the trials on a front of accuracy against a cost, the most accurate first.

    `trials` have scores; `latencies`: milliseconds of the measured trials, by id.
    """
    measured = [trial for trial in trials if trial.trial in latencies]
    costs = (
        (PARAMETERS, trials, [float(trial.params) for trial in trials]),
        (MACS, trials, [float(trial.macs) for trial in trials]),
        (LATENCY, measured, [latencies[trial.trial] for trial in measured]),
    )
    on: dict[str, list[str]] = {}
    for name, among, cost in costs:
        found = front([(trial.score or 0.0, value) for trial, value in zip(among, cost, strict=True)])
        for trial, is_on in zip(among, found, strict=True):
            if is_on:
                on.setdefault(trial.trial, []).append(name)
    places = [Place(trial, latencies.get(trial.trial), tuple(on[trial.trial])) for trial in trials if trial.trial in on]
    return sorted(places, key=lambda place: -(place.trial.score or 0.0))


def measured(view: RunView, form: str = SAVED_MODEL) -> dict[str, float]:
    """Return the measured latencies of a run's networks in a format on this machine: milliseconds for one image."""
    found = {trial: alone(latencies) for trial, latencies in read_latencies(view.folder, form).items()}
    return {trial: time for trial, time in found.items() if time is not None}


def fronts(view: RunView) -> tuple[Section, ...]:
    """Return the section; nothing with fewer than two networks to compare, or if nothing was learnt."""
    ranked = view.ranking()
    if is_single(view) or len(ranked) < 2 or learning(view).nothing:  # noqa: PLR2004 - two
        return ()
    latencies = measured(view)
    header = ("Trial", "Architecture", "Validation accuracy", "Parameters", "Multiply-adds", "Latency (ms)",
              "On the front for")  # fmt: skip
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            Code(place.trial.trial),
            Code(place.trial.name),
            percent(place.trial.score),
            f"{place.trial.params:,}",
            large(place.trial.macs),
            "" if place.latency is None else f"{place.latency:.3g}",
            ", ".join(place.on),
        )
        for place in pareto(ranked, latencies)
    )
    timed = sum(trial.trial in latencies for trial in ranked)
    told = (
        "Latency is the SavedModel's median for one image in TensorFlow on this machine's processor, measured for "
        f"{timed}. To measure all: "
    )
    blocks: list[Block] = [
        Paragraph(
            f"Of the {len(ranked):,} candidates trained for all epochs, these are on the Pareto front: no other is as "
            "accurate at a lower cost. Differences within the noise count, too."
        ),
        Table(header, rows, right=frozenset({2, 3, 4, 5})),
        Paragraph(
            (
                told,
                Code(f"resnet-search trials {view.folder.word} --pareto --measure"),
                ", with ",
                Code("--format"),
                " in another format. To export the best network within a limit: ",
                Code(f"resnet-search export {view.folder.word} --max-params N"),
                ", ",
                Code("--max-macs N"),
                " or ",
                Code("--max-latency MS"),
                ".",
            )
        ),
    ]
    return (Section("Accuracy against cost", tuple(blocks)),)
