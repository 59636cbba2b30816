"""resnet-search doctor"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resnet_search.cli.options import FolderPath, complete_run, json_option, runs_dir_option
from resnet_search.errors import UsageError

if TYPE_CHECKING:
    from resnet_search.runs.doctor import Check
    from resnet_search.runs.folder import RunFolder


@click.command("doctor", short_help="Check this machine, or check and repair the folder of a run.")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=complete_run)
@runs_dir_option
@click.option("--repair", is_flag=True, help="Repair the folder of RUN as far as possible.")
@click.option("--data-dir", type=FolderPath(), metavar="DIR", help="Folder to look for cifar10 in first.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, run: str | None, runs_dir: Path, repair: bool, data_dir: Path | None, as_json: bool
) -> None:
    """Check whether this machine can run a search, or check the folder of a run.

    For the machine: versions, devices, whether a GPU computes, where CIFAR-10 would come from, free disk. For a run:
    whether its files exist, can be read and agree with its events. Each problem is listed with its fix. Exit status 1
    if there is a problem.

    --repair leaves out damaged events, removes damaged checkpoints and leftovers, and rewrites Keras Tuner's files. If
    the weights of the best trial are gone, resume then trains it again. A copy of a damaged file stays beside the
    repaired one if it may still be useful.
    """
    from resnet_search.cli.screen import show, show_json

    if run is None:
        if repair:
            raise UsageError("--repair requires a RUN", "Name it: resnet-search doctor RUN --repair")
        from resnet_search.runs.doctor import examine

        done, checks = [], examine(runs_dir, data_dir)
    else:
        from resnet_search.runs.folder import find_run

        folder = find_run(run, runs_dir)
        done = _repair(folder) if repair else []
        checks = _examine(folder)
    if as_json:
        name = None if run is None else folder.name
        show_json("doctor/1", {"run": name, "repaired": done, "checks": [asdict(check) for check in checks]})
    else:
        from resnet_search.cli.tables import checks_table, repairs

        show(repairs(done))
        show(checks_table(checks))
    if any(check.status == "problem" for check in checks):
        ctx.exit(1)


def _examine(folder: RunFolder) -> list[Check]:
    from resnet_search.runs.checkup import Checkup

    checkup = Checkup(folder)
    checks = list(checkup.checks())
    if checkup.found is not None and checkup.found.view.trials and not checkup.found.wrong:
        from resnet_search.search.repair import check_keras_tuner

        checks += check_keras_tuner(checkup.found.view)
    return checks


def _repair(folder: RunFolder) -> list[str]:
    from resnet_search.search.repair import repair_run

    return repair_run(folder)
