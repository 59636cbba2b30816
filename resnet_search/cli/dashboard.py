"""resnet-search dashboard"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from resnet_search.cli.options import Whole, run_argument
from resnet_search.cli.session import Interrupted
from resnet_search.cli.text import safe


@click.command("dashboard")
@run_argument
@click.option(
    "--port", type=Whole(0, 65_535), default=8080, show_default=True, metavar="N",
    help="Port to serve on, for this machine only; 0 picks a free one.",
)  # fmt: skip
@click.option("--open", "browse", is_flag=True, help="Open it in the browser.")
def command(*, run: str, runs_dir: Path, port: int, browse: bool) -> None:
    """Show a run in optuna-dashboard, live while it trains.

    It mirrors the run's files into a journal in the run's folder and serves that until Ctrl-C. Nothing you do in the
    page changes the run.
    """
    from resnet_search.runs.folder import find_run
    from resnet_search.trackers.dashboard import HOST, serving

    folder = find_run(run, runs_dir)
    # Ctrl-C is the normal end.
    with suppress(Interrupted), serving(folder, port) as server:
        address = f"http://{HOST}:{server.server_port}/dashboard/"
        click.echo(f"{safe(folder.name)}: {address}\nCtrl-C ends it.")
        if browse:
            import webbrowser

            webbrowser.open(address)
        server.serve_forever()
    click.echo("The dashboard is closed.")
