"""resnet-search track"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import click

from resnet_search.cli.options import run_argument
from resnet_search.cli.session import Interrupted
from resnet_search.cli.text import safe
from resnet_search.cli.tracking import Names, flat
from resnet_search.spaces.schema import TRACKERS


@click.command("track")
@run_argument
@click.option(
    "--to", type=Names(), multiple=True, required=True, callback=flat, metavar="NAMES",
    help=f"Trackers to send the run to (comma-separated): {', '.join(TRACKERS)}.",
)  # fmt: skip
@click.option("--follow", is_flag=True, help="Keep sending while the run trains, or until Ctrl-C.")
@click.option("--quiet", "-q", is_flag=True, help="Print only errors.")
def command(*, run: str, runs_dir: Path, to: tuple[str, ...], follow: bool, quiet: bool) -> None:
    """Send a run to TensorBoard, MLflow or Weights & Biases.

    The run may be training or finished. Results that were sent before are not sent again.
    """
    from resnet_search.errors import TrackingError
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run
    from resnet_search.trackers.choice import check_installed, look_words
    from resnet_search.trackers.keep_up import keep_up, worded

    check_installed(to, "--to")
    folder = find_run(run, runs_dir)
    read_run(folder)
    over = threading.Event()
    if not follow:
        over.set()
    said: dict[str, str] = {}
    done: dict[str, bool] = {}

    def track(name: str) -> None:
        done[name] = keep_up(folder, name, over, lambda error: said.update({name: worded(error)}))

    threads = [threading.Thread(target=track, args=(name,), daemon=True) for name in to]
    for thread in threads:
        thread.start()
    with suppress(Interrupted):  # Results written until then are still sent.
        while follow and folder.is_locked():
            over.wait(_LOOK)
    over.set()
    for thread in threads:
        thread.join()
    failed = {name: said.get(name, "another process tracks this run") for name in to if not done[name]}
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise TrackingError(
            f"{folder.name} was not sent to all trackers: {reasons}", "Fix this and repeat the command."
        )
    if not quiet:
        for name in to:
            click.echo(f"{name:<12}{safe(look_words(folder, name))}")


_LOOK = 1.0  # seconds between two checks whether the run still trains
