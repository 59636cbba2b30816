"""resnet-search stop"""

from __future__ import annotations

from pathlib import Path

import click

from resnet_search.cli.options import run_argument
from resnet_search.cli.session import run_words


@click.command("stop")
@run_argument
def command(*, run: str, runs_dir: Path) -> None:
    """Stop a run that another terminal started.

    Like SIGTERM: every finished epoch is kept, and resume goes on from there. It waits until the run has ended.
    """
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.stop import stop

    folder = find_run(run, runs_dir)
    driver = stop(folder)
    click.echo(f"Stopped: {driver} has ended. Every finished epoch is kept. Continue with:")
    click.echo(f"  resnet-search resume {run_words(folder.path, runs_dir)}")
