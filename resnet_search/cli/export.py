"""resnet-search export"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from resnet_search.cli.options import FolderPath, OneOf, ParamType, Whole, json_option, run_argument
from resnet_search.cli.text import count, safe
from resnet_search.errors import UsageError
from resnet_search.export.formats import FORMATS, SAVED_MODEL
from resnet_search.report.kind import is_final
from resnet_search.report.units import percent

if TYPE_CHECKING:
    from resnet_search.runs.trials import RunView, Trial


class Formats(ParamType):
    """One or several comma-separated formats of `export.formats`."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        one = OneOf(FORMATS)
        return tuple(one.convert(name, param, ctx) for name in value.split(","))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        found = OneOf(FORMATS).shell_complete(ctx, param, last)
        return [CompletionItem(f"{before}{comma}{item.value}") for item in found]


class Milliseconds(ParamType):
    """A time above 0."""

    name = "milliseconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            time = float(value)
        except ValueError:
            time = 0.0
        if not _SHORTEST <= time <= _LONGEST:
            self.fail(f"got {str(value)!r}; allowed: milliseconds from {_SHORTEST:g} to {_LONGEST:,.0f}", param, ctx)
        return time


_SHORTEST, _LONGEST = 0.001, 1e6


@click.command("export")
@run_argument
@click.option(
    "--format",
    "formats",
    type=Formats(),
    multiple=True,
    metavar="FORMAT[,FORMAT...]",
    help=f"Any of {', '.join(FORMATS)}. The SavedModel is always written; the others are made from it.  "
    f"[default: {SAVED_MODEL}]",
)
@click.option("--trial", metavar="ID", help="The trial to export.  [default: the best of the full budget]")
@click.option(
    "--ensemble",
    type=Whole(2, 1000),
    metavar="K",
    help="Export the best K candidates as one model that averages their probabilities.",
)
@click.option(
    "--max-params", type=Whole(1, 10**12), metavar="N", help="Export the best candidate with at most N parameters."
)
@click.option(
    "--max-macs",
    type=Whole(1, 10**15),
    metavar="N",
    help="Export the best candidate with at most N multiply-adds for one image.",
)
@click.option(
    "--max-latency",
    type=Milliseconds(),
    metavar="MS",
    help="Export the best candidate that takes at most MS milliseconds for one image on this machine's processor, in "
    "each --format. Measures candidates, the most accurate first, until one is fast enough.",
)
@click.option(
    "--license",
    "license_id",
    metavar="SPDX",
    help="Licence to state on the model card, such as Apache-2.0.  [default: none]",
)
@click.option(
    "--out",
    type=FolderPath(),
    metavar="DIR",
    help="Output folder.  [default: in the run's folder, export/ for the best trial, export-trial-ID/ for another, "
    "export-ensemble-K/]",
)
@click.option("--replace", is_flag=True, help="Replace an export of another network in the output folder.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the paths of the results.")
@json_option
def command(
    *, run: str, runs_dir: Path, formats: tuple[tuple[str, ...], ...], trial: str | None, ensemble: int | None,
    max_params: int | None, max_macs: int | None, max_latency: float | None, license_id: str | None, out: Path | None,
    replace: bool, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Export a network of a run, and the report.

    Every file takes raw uint8 images (batch, height, width, 3) and returns probabilities. Each is reloaded in its own
    runtime, without this program, and must return what the trained network returns, or the export fails. Its latency
    is measured.
    """
    given = {"trial": trial, "ensemble": ensemble, "max_params": max_params, "max_macs": max_macs,
             "max_latency": max_latency}  # fmt: skip
    _check_together({name for name, value in given.items() if value is not None})
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    view = read_run(find_run(run, runs_dir))
    options: dict[str, Any] = {"license_id": license_id, "replace": replace}
    if formats:
        options["formats"] = [name for names in formats for name in names]
    if ensemble is not None:
        options["ensemble"] = ensemble
    if {max_params, max_macs, max_latency} != {None}:
        from resnet_search.export.saved_model import Limits

        options["limits"] = Limits(max_params=max_params, max_macs=max_macs, max_latency=max_latency)
    chosen = None if trial is None else view.find(trial)
    if as_json:
        _export_json(view, chosen, out, options)
    else:
        export_and_tell(view, chosen, out, quiet=quiet, **options)


def _export_json(view: RunView, trial: Trial | None, out: Path | None, options: dict[str, Any]) -> None:
    from resnet_search.cli.screen import show_json
    from resnet_search.export.saved_model import export_run

    result = export_run(view, trial, out, **options)
    document = {
        "run": view.folder.name,
        "trial": result.trial,
        "folder": str(result.folder),
        **asdict(result.exported),
        "notes": list(result.notes),
    }
    show_json("export/1", document)


def _check_together(given: set[str]) -> None:
    """Raise a `UsageError` if options conflict: only limits can be combined."""
    for name in ("trial", "ensemble"):
        others = sorted(given - {name})
        if name in given and others:
            raise UsageError(
                f"--{name} and --{others[0].replace('_', '-')} cannot be combined: each selects the network to export"
            )


def export_and_tell(
    view: RunView, trial: Trial | None, out: Path | None, *, quiet: bool, told: Collection[str] = (), **options: Any
) -> None:
    """Export a trial, None for the winner, and print where the files are.

    `told`: notes that are on the screen already. `options`: those of `export_run`.
    """
    from resnet_search.cli.screen import is_terminal, show, waiting

    with waiting("Exporting") if is_terminal() and not quiet else nullcontext() as progress:
        from resnet_search.export.saved_model import export_run

        if progress is not None:
            options["progress"] = progress
        result = export_run(view, trial, out, **options)
    tell(result.folder, quiet=quiet)
    if quiet:
        return
    together = result.exported.ensemble
    what = "of the SavedModel" if together is None else f"averaged over {', '.join(together.members)}"
    if is_final(view):
        tell_test(view)
    else:
        click.echo(f"Accuracy    {percent(result.accuracy)} on the validation images, {what}")
    difference = f"at most {result.difference:.1e}" if result.difference else "no difference"
    click.echo(f"Verified    {difference} from the trained model in any probability")
    if together is not None:
        best = view.trials[together.members[0]]
        click.echo(f"The best    {percent(best.score or 0.0)} by itself, trial {best.trial}")
        click.echo(f"Cost        {_cost(together.params, together.macs)}; the best {_cost(best.params, best.macs)}")
    from resnet_search.cli.exported import files_table
    from resnet_search.cli.grid import Hanging

    show(files_table(result.exported))
    show(Hanging(f"Note        {note}", len("Note        ")) for note in result.notes if note not in told)


def tell_test(view: RunView) -> None:
    """Print the test accuracy of a network that was trained on all images; nothing for other networks."""
    from resnet_search.cli.grid import Hanging
    from resnet_search.cli.screen import show
    from resnet_search.report.facts import facts_of
    from resnet_search.report.learning import measured_at_chance
    from resnet_search.report.tested import also_trained_on, interval
    from resnet_search.report.units import counted

    facts = facts_of(view)
    if facts.tested is None:
        return
    measured = facts.tested.measured
    of = counted(measured.images, "test image")
    click.echo(f"Test        {percent(measured.top1.value)} right ({interval(measured.top1)}) of {of}, {facts.times}")
    if measured.top5 is not None:
        click.echo(f"Top-5       {percent(measured.top5.value)} ({interval(measured.top5)})")
    error = measured.calibration.error
    click.echo(f"Calibration {percent(error.value)} ({interval(error)}) expected calibration error")
    remarks = filter(None, (also_trained_on(facts.duplicates), measured_at_chance(measured)))
    show(Hanging(f"Note        {remark}", len("Note        ")) for remark in remarks)


def _cost(params: int, macs: int) -> str:
    return f"{count(params)} parameters, {count(macs)} MACs"


def tell(folder: Path, *, quiet: bool) -> None:
    """Print where the files of an export are."""
    from resnet_search.export.folder import REPORT, SAVED_MODEL

    for name, file in (("SavedModel", SAVED_MODEL), ("Report", REPORT)):
        click.echo(f"{safe(folder / file)}" if quiet else f"{name:<12}{safe(folder / file)}")


def held_formats(view: RunView) -> list[str]:
    """Return the formats of the best trial's export that can be made again here, so that a new one loses none."""
    from resnet_search.runs.exports import BEST, is_current

    if not is_current(view):
        return []
    made = (each for each in FORMATS.values() if (view.folder.path / BEST / each.file).exists())
    return [each.name for each in made if all(map(find_spec, each.packages))]


def exported(view: RunView) -> bool:
    """Return whether the best trial of a run is exported and no trial has completed since."""
    from resnet_search.reading import read_json
    from resnet_search.runs.exports import BEST, MANIFEST, is_current

    if not is_current(view):
        return False
    manifest = read_json(view.folder.path / BEST / MANIFEST)
    return bool(manifest.get("completed", view.completed) == view.completed)
