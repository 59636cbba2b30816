"""resnet-search doctor"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from resnet_search.cli.options import FolderPath, json_option, runs_dir_option


@click.command("doctor")
@runs_dir_option
@click.option("--data-dir", type=FolderPath(), metavar="DIR", help="Where cifar10 is looked for first.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, runs_dir: Path, data_dir: Path | None, as_json: bool) -> None:
    """Check what a search needs of this machine.

    Versions, devices, where CIFAR-10 would come from, free disk; what is wrong, and the cure. Exit status 1 if there
    is a problem.
    """
    from resnet_search.cli.screen import show, show_json
    from resnet_search.runs.doctor import PROBLEM, examine

    checks = examine(runs_dir, data_dir)
    if as_json:
        show_json([asdict(check) for check in checks])
    else:
        from resnet_search.cli.tables import checks_table

        show(checks_table(checks))
    if any(check.status == PROBLEM for check in checks):
        ctx.exit(1)
