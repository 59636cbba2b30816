"""resnet-search resume"""

from __future__ import annotations

from pathlib import Path

import click

from resnet_search.cli.options import quiet_options, run_argument
from resnet_search.cli.session import Session


@click.command("resume")
@run_argument
@quiet_options
@click.pass_obj
def command(session: Session, *, run: str, runs_dir: Path, quiet: bool, no_export: bool) -> None:
    """Go on with a run that was stopped.

    After Ctrl-C, kill -9 or a reboot: it ends in the same trials as if nothing had happened. A finished run is not
    searched again; what is missing of its export is made.
    """
    from resnet_search.cli.searching import conclude, watch
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    folder = find_run(run, runs_dir)
    session.folder, session.runs_dir = folder.path, runs_dir
    view = read_run(folder)
    if view.state == "finished":
        if not quiet:
            click.echo(f"{folder.name} is finished: nothing is left to search.")
    else:
        from resnet_search.search.start import resume_run

        preparing = f"Going on with {folder.name}: starting the training backend ..."
        view = watch(session, lambda observers: resume_run(folder, observers), preparing=preparing, quiet=quiet)
    conclude(session, view, quiet=quiet, export=not no_export)
