"""resnet-search compare"""

from __future__ import annotations

from pathlib import Path

import click

from resnet_search.cli.options import complete_run, json_option, runs_dir_option
from resnet_search.errors import UsageError


@click.command("compare")
@runs_dir_option
@click.argument("runs", metavar="RUN RUN [RUN...]", nargs=-1, shell_complete=complete_run)
@json_option
def command(*, runs: tuple[str, ...], runs_dir: Path, as_json: bool) -> None:
    """Compare runs.

    Shows the settings that differ, the best trial of each run, what each run has spent, the best so far at equal
    epochs, the candidates that all runs trained, and confirmations and test results, if any. If two best trials
    trained for equally many epochs on the same images, it says whether their difference exceeds its standard error.
    A warning comes first if the runs used different images.
    """
    if len(runs) < 2:  # noqa: PLR2004
        raise UsageError(f"RUN: got {len(runs)}; allowed: two or more", "resnet-search list shows all runs.")
    from resnet_search.report.compared import compare
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    folders = [find_run(run, runs_dir) for run in runs]
    if len({folder.path.resolve() for folder in folders}) < len(folders):
        raise UsageError(f"RUN: got {', '.join(map(repr, runs))}, which are not all different; allowed: different runs")
    found = compare([read_run(folder) for folder in folders])
    from resnet_search.cli.screen import show, show_json

    if as_json:
        show_json("compare/1", found)
        return
    from resnet_search.cli.compare_tables import comparison_tables

    show(comparison_tables(found))
