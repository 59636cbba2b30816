"""resnet-search list"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.options import json_option, runs_dir_option
from resnet_search.cli.text import safe

if TYPE_CHECKING:
    from resnet_search.runs.folder import RunFolder


@click.command("list")
@runs_dir_option
@json_option
def command(*, runs_dir: Path, as_json: bool) -> None:
    """List the runs, the latest last.

    For each: its state, its progress, and the best network so far.
    """
    from resnet_search.cli.screen import show, show_json
    from resnet_search.runs.folder import list_runs

    runs = [describe(folder) for folder in list_runs(runs_dir)]
    if as_json:
        show_json(runs)
    elif not runs:
        click.echo(f"No runs in {safe(runs_dir)}. Start one: resnet-search run --space quickstart")
    else:
        from resnet_search.cli.tables import runs_table

        show(runs_table(runs))


def describe(folder: RunFolder) -> dict[str, Any]:
    """A run, JSON-able; of a damaged one, the reason."""
    from resnet_search.errors import RunError
    from resnet_search.report.course import epochs_on_disk
    from resnet_search.runs.trials import COMPLETED, FAILED, RUNNING, read_run

    try:
        view = read_run(folder)
    except RunError as error:
        return {"run": folder.name, "path": str(folder.path), "state": "damaged", "reason": error.message}
    trials = list(view.trials.values())
    done = [trial for trial in trials if trial.status == COMPLETED]
    running = [trial for trial in trials if trial.status == RUNNING]
    leader = view.leader
    # Of a network that trains alone the name is known before it is done.
    shown = leader or (trials[0] if trials and view.planned_trials == 1 else None)
    return {
        "run": folder.name,
        "path": str(folder.path),
        "state": view.state,
        "space": view.content["space"]["name"],
        "trials": len(done),
        "planned_trials": view.planned_trials,
        "failed": sum(trial.status == FAILED for trial in trials),
        "epochs": sum(trial.trained_epochs for trial in done) + sum(epochs_on_disk(view, each) for each in running),
        "planned_epochs": view.planned_epochs - view.saved_epochs,
        "best": None if leader is None else leader.trial,
        "score": None if leader is None else leader.score,
        "architecture": None if shown is None else shown.name,
        "started": view.started,
        "seconds": view.seconds,
    }
