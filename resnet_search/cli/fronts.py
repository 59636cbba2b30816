"""What `trials --pareto` lists: the trials on the Pareto fronts of accuracy and a cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from resnet_search.export.formats import FORMATS, Format, chosen
from resnet_search.report.pareto import Place, measured, pareto

if TYPE_CHECKING:
    from rich.console import RenderableType

    from resnet_search.runs.trials import RunView, Trial


@dataclass(frozen=True, slots=True)
class Fronts:
    """The trials of a run that are on a Pareto front, by id."""

    places: Mapping[str, Place]
    form: Format

    # Keys in --json and --csv in addition to `trials.FIELDS`.
    fields: ClassVar[tuple[str, ...]] = ("front", "latency_ms", "latency_format")

    def values(self, trial: Trial) -> dict[str, Any]:
        """Return the `fields` of a trial, JSON-able."""
        place = self.places[trial.trial]
        return {"front": list(place.on), "latency_ms": place.latency, "latency_format": self.form.name}

    def table(self, trials: Sequence[Trial]) -> Sequence[RenderableType]:
        """Return a table of these trials in the order given, and how the times were measured."""
        from resnet_search.cli.grid import Column, Grid, Hanging
        from resnet_search.cli.text import count
        from resnet_search.report.units import percent
        from resnet_search.runs.latency import machine

        found = [self.places[trial.trial] for trial in trials]
        times = ["" if place.latency is None else f"{place.latency:.3g}" for place in found]
        grid = Grid(
            [
                Column("trial", [trial.trial for trial in trials]),
                Column("architecture", [trial.name for trial in trials], folds=True),
                Column("score", [percent(trial.score) for trial in trials], right=True),
                Column("params", [count(trial.params) for trial in trials], right=True, narrow=2),
                Column("MACs", [count(trial.macs) for trial in trials], right=True, narrow=3),
                Column("ms", times, right=True, narrow=1),
                Column("front of", [", ".join(place.on) for place in found], folds=True),
            ],
            elsewhere="--json has everything",
        )
        conditions = (
            f"median time of one image as {self.form.name} in {self.form.runtime} on {machine()}, where an export or "
            "--measure has measured it"
        )
        return [grid, Hanging(f"ms         {conditions}")]


def fronts_of(view: RunView, *, measure: bool, quiet: bool, form: str) -> Fronts:
    """Return the fronts of a run, with latencies in the format `form`.

    With `measure`, first measure the latencies that this machine lacks.
    """
    chosen([form] if measure else ())
    if measure:
        from resnet_search.cli.screen import is_terminal, waiting
        from resnet_search.export.latency import measure as measure_all

        with waiting("Measuring") if is_terminal() and not quiet else nullcontext() as tell:
            measure_all(view, view.ranking(), tell or (lambda _: None), form)
    places = pareto(view.ranking(), measured(view, form))
    return Fronts({place.trial.trial: place for place in places}, FORMATS[form])
