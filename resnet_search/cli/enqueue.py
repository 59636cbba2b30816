"""resnet-search enqueue"""

from __future__ import annotations

from pathlib import Path

import click

from resnet_search.cli.options import run_argument
from resnet_search.cli.steered import show_answer


@click.command("enqueue")
@run_argument
@click.argument("network", metavar="NETWORK")
def command(*, run: str, runs_dir: Path, network: str) -> None:
    """Train a given network next, also from another terminal.

    NETWORK is a name that `models` lists, or axes such as block=basic,n=3,width=16. It is trained for as many epochs as
    the best candidates, and can win if it is inside the limits.
    """
    from resnet_search.runs.folder import find_run
    from resnet_search.search.known import baselines_of
    from resnet_search.search.steering import ENQUEUE

    (named,) = baselines_of([network], "NETWORK")
    show_answer(
        find_run(run, runs_dir), runs_dir, ENQUEUE, network=named.name, architecture=named.architecture.to_dict()
    )
