"""resnet-search stop"""

from __future__ import annotations

from pathlib import Path

import click

from resnet_search.cli.cluster import again
from resnet_search.cli.options import run_argument
from resnet_search.cli.session import run_words
from resnet_search.workers.cluster import Cluster


@click.command("stop")
@run_argument
def command(*, run: str, runs_dir: Path) -> None:
    """Stop a run that another terminal started.

    Like SIGTERM: every finished epoch is kept, and `resume` continues from there. Waits until the run has ended.
    """
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.stop import stop
    from resnet_search.runs.trials import read_run

    folder = find_run(run, runs_dir)
    driver = stop(folder)
    click.echo(f"Stopped: {driver} has ended. Every finished epoch is kept. Continue with:")
    cluster = read_run(folder).content["workers"].get("cluster")
    workers = again(Cluster.from_dict(cluster)) if cluster else ""
    click.echo(f"  resnet-search resume {run_words(folder.path, runs_dir)}{workers}")
