"""resnet-search show"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from resnet_search.cli.options import json_option, run_argument, trial_argument
from resnet_search.cli.watch import Look, check_watch, watch, watch_option

if TYPE_CHECKING:
    from resnet_search.runs.folder import RunFolder


@click.command("show")
@run_argument
@trial_argument
@watch_option
@json_option
def command(*, run: str, runs_dir: Path, trial: str, watched: bool, as_json: bool) -> int:
    """Show a trial in full.

    Shows its architecture and cost, promotions, learning curve and timings, and why it failed.
    """
    from resnet_search.runs.folder import find_run

    folder = find_run(run, runs_dir)
    if watched:
        check_watch({"--json": as_json})
        return watch(lambda _: _look(folder, trial))
    from resnet_search.cli.screen import show, show_json
    from resnet_search.cli.trials import document
    from resnet_search.runs.trials import read_run

    view = read_run(folder)
    found = view.find(trial)
    history = view.history(found)
    if as_json:
        chain = [link.trial for link in view.chain(found)]
        show_json("show/1", {"run": folder.name, **document(found), "chain": chain, "history": history})
        return 0
    from resnet_search.cli.tables import trial_details

    show(trial_details(view, found, history))
    return 0


def _look(folder: RunFolder, trial: str) -> Look:
    """Return the trial's current state; watching ends with the trial."""
    from resnet_search.cli.tables import trial_details
    from resnet_search.runs.trials import RUNNING, read_run
    from resnet_search.training.job import HISTORY

    view = read_run(folder)
    found = view.find(trial)
    training = view.state == "running" and found.status == RUNNING
    shown = trial_details(view, found, view.history(found))
    return Look(shown, [folder.events, folder.trial(found.trial) / HISTORY], [folder] if training else [])
