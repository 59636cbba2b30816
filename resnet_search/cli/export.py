"""resnet-search export"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resnet_search.cli.options import FolderPath, run_argument
from resnet_search.cli.text import safe

if TYPE_CHECKING:
    from resnet_search.runs.trials import RunView, Trial


@click.command("export")
@run_argument
@click.option("--trial", metavar="ID", help="The trial to export.  [default: the best of the full budget]")
@click.option("--out", type=FolderPath(), metavar="DIR", help="Where to.  [default: export/ in the run's folder]")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but the paths of the results.")
def command(*, run: str, runs_dir: Path, trial: str | None, out: Path | None, quiet: bool) -> None:
    """Export a network of a run, and the report.

    The SavedModel takes raw uint8 images (batch, height, width, 3) and gives probabilities. It is reloaded without
    Keras and must give what the trained network gives, or the export fails.
    """
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    view = read_run(find_run(run, runs_dir))
    export_and_tell(view, None if trial is None else view.find(trial), out, quiet=quiet)


def export_and_tell(view: RunView, trial: Trial | None, out: Path | None, *, quiet: bool) -> None:
    """Export a trial, None for the winner, and say where the files are."""
    from resnet_search.cli.screen import console, is_terminal

    waiting = not quiet and is_terminal()
    with console().status("Exporting, and comparing with the trained model ...") if waiting else nullcontext():
        from resnet_search.export.saved_model import export_run

        result = export_run(view, trial, out)
    tell(result.folder, quiet=quiet)
    if quiet:
        return
    click.echo(f"Accuracy    {result.accuracy:.4f} on the validation images, the SavedModel's own")
    difference = f"at most {result.difference:.1e}" if result.difference else "no difference"
    click.echo(f"Verified    {difference} from the trained model in any probability")
    for note in result.notes:
        click.echo(f"Note        {safe(note)}")


def tell(folder: Path, *, quiet: bool) -> None:
    """Say where the files of an export are."""
    from resnet_search.export.folder import REPORT, SAVED_MODEL

    for name, file in (("SavedModel", SAVED_MODEL), ("Report", REPORT)):
        click.echo(f"{safe(folder / file)}" if quiet else f"{name:<12}{safe(folder / file)}")


def exported(view: RunView) -> bool:
    """Whether the default export of a run is there, and no trial has completed since."""
    from resnet_search.export.folder import MANIFEST

    path = view.folder.path / "export" / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return bool(manifest.get("completed", view.completed) == view.completed)
    except (OSError, ValueError, AttributeError):
        return False
