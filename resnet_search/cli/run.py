"""resnet-search run"""

from __future__ import annotations

from typing import Any

import click

from resnet_search.cli.options import quiet_options, search_options, space_from
from resnet_search.cli.session import Session


@click.command("run")
@search_options
@quiet_options
@click.pass_obj
def command(session: Session, /, *, quiet: bool, no_export: bool, **options: Any) -> None:
    """Search a space, and export the best network.

    The end is a verified SavedModel and report.md in the run's folder.

    Ctrl-C stops it at any time; resnet-search resume goes on.
    """
    from resnet_search.cli.searching import conclude, watch
    from resnet_search.errors import RunError
    from resnet_search.runs.doctor import not_writable
    from resnet_search.runs.folder import default_name
    from resnet_search.runs.speed import machine_speed, training_images
    from resnet_search.spaces.plan import make_plan

    space = space_from(options)
    plan = make_plan(space)
    reason = not_writable(options["runs_dir"])
    if reason:
        raise RunError(
            f"--runs-dir: got {str(options['runs_dir'])!r}, but {reason}", "Choose a folder you can write to."
        )
    if not quiet:
        from resnet_search.cli.screen import show
        from resnet_search.cli.tables import line, plan_totals

        speed = machine_speed(options["runs_dir"], options["device"])
        images = training_images(space.data, options["train_examples"])
        show([line(f"Space      {space.name}"), *map(line, plan_totals(plan, speed, images)), line("")])
    # Only now, since they import numpy.
    from resnet_search.search.start import SearchSettings, run_search
    from resnet_search.training.datasets import describe_source

    name = options.pop("name") or default_name(space.name, options["runs_dir"])
    settings = SearchSettings(name=name, **options)
    session.folder, session.runs_dir = settings.runs_dir / name, settings.runs_dir
    source = describe_source(space.data.source, settings.data_dir)
    reading = "Downloading" if source.kind == "download" else "Reading"
    view = watch(
        session,
        lambda observers: run_search(space, settings, observers),
        preparing=f"{reading} {space.data.source} and starting the training backend ...",
        quiet=quiet,
    )
    conclude(session, view, quiet=quiet, export=not no_export)
