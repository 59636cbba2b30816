"""resnet-search report"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resnet_search.cli.options import FolderPath, Whole, json_option, run_argument
from resnet_search.cli.text import safe
from resnet_search.errors import UsageError

if TYPE_CHECKING:
    from resnet_search.runs.folder import RunFolder
    from resnet_search.runs.trials import RunView


@click.command("report", short_help="Write the report of a run as a page with plots and as text.")
@run_argument
@click.option("--trial", metavar="ID", help="The trial to report on.  [default: the best of the full budget]")
@click.option("--out", type=FolderPath(), metavar="DIR", help="Output folder.  [default: report/ in the run's folder, "
              "with --trial report/trial_ID/]")  # fmt: skip
@click.option(
    "--watch",
    type=Whole(5, 86_400),
    metavar="SECONDS",
    help="Update the report at this interval while the run trains; an open page reloads itself.",
)
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Print only the paths of the results.")
def command(
    *, run: str, runs_dir: Path, trial: str | None, out: Path | None, watch: int | None, as_json: bool, quiet: bool
) -> None:
    """Write the report of a run: a page with plots, and the same as text.

    report.html opens in any browser, offline; report.md has the same tables and describes the plots in words. For an
    unfinished run, the report covers what it has done so far.
    """
    from resnet_search.runs.folder import find_run

    if as_json and (watch is not None or out is not None or quiet):
        raise UsageError("--json writes no files; it can only be combined with --trial")
    folder = find_run(run, runs_dir)
    if as_json:
        _print(folder, trial)
        return
    _write(folder, trial, out, watch, quiet=quiet)
    while watch is not None and folder.is_locked():
        time.sleep(watch)
        _write(folder, trial, out, watch if folder.is_locked() else None, quiet=True, tell=False)


def page_and_tell(view: RunView, *, quiet: bool) -> None:
    """Write the report of a run and print the path of the page."""
    from resnet_search.export.found import exported_of
    from resnet_search.report.written import write_report

    page, _ = write_report(view, None, exported_of(view))
    click.echo(safe(page) if quiet else f"{'Page':<12}{safe(page)}")


def _print(folder: RunFolder, trial: str | None) -> None:
    from resnet_search.cli.screen import show_json
    from resnet_search.export.found import exported_of
    from resnet_search.report.as_json import to_json
    from resnet_search.report.illustrated import illustrated
    from resnet_search.runs.trials import read_run

    view = read_run(folder)
    chosen = None if trial is None else view.find(trial)
    show_json("report/1", to_json(illustrated(view, chosen, exported_of(view, chosen))))


def _write(
    folder: RunFolder, trial: str | None, out: Path | None, watch: int | None, *, quiet: bool, tell: bool = True
) -> None:
    from resnet_search.export.found import exported_of
    from resnet_search.report.written import write_report
    from resnet_search.runs.trials import read_run

    view = read_run(folder)
    chosen = None if trial is None else view.find(trial)
    refresh = watch if view.state == "running" else None
    page, words = write_report(view, chosen, exported_of(view, chosen), out=out, refresh=refresh)
    if tell:
        for name, path in (("Page", page), ("In words", words)):
            click.echo(safe(path) if quiet else f"{name:<12}{safe(path)}")
