"""resnet-search skip"""

from __future__ import annotations

from pathlib import Path

import click

from resnet_search.cli.options import run_argument, trial_argument
from resnet_search.cli.steered import show_answer


@click.command("skip")
@run_argument
@trial_argument
def command(*, run: str, runs_dir: Path, trial: str) -> None:
    """Skip a running trial, also from another terminal.

    The trial counts as failed: in a first rung, another candidate usually takes its place, and in a later rung the next
    best.
    """
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run
    from resnet_search.search.steering import SKIP

    folder = find_run(run, runs_dir)
    show_answer(folder, runs_dir, SKIP, trial=read_run(folder).find(trial).trial)
