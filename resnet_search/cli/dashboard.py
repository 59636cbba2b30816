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
    help="Of this machine alone; 0 takes a free one.",
)  # fmt: skip
@click.option("--open", "browse", is_flag=True, help="Open it in the browser.")
def command(*, run: str, runs_dir: Path, port: int, browse: bool) -> None:
    """Show a run in optuna-dashboard, live while it trains.

    It reads the run's files, mirrors them into a journal in its folder, and serves that until Ctrl-C. The run is not
    touched, whatever is done in the page.
    """
    from resnet_search.runs.folder import find_run
    from resnet_search.trackers.dashboard import HOST, serving

    folder = find_run(run, runs_dir)
    # Ctrl-C is how it is meant to end.
    with suppress(Interrupted), serving(folder, port) as server:
        address = f"http://{HOST}:{server.server_port}/dashboard/"
        click.echo(f"{safe(folder.name)}: {address}\nCtrl-C ends it.")
        if browse:
            import webbrowser

            webbrowser.open(address)
        server.serve_forever()
    click.echo("The dashboard is closed.")
