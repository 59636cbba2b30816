"""resnet-search run"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from resnet_search.cli.baselines import baseline_lines, baseline_option, known_of
from resnet_search.cli.budget import budget_options, hang_option
from resnet_search.cli.cluster import cluster_options, take_cluster
from resnet_search.cli.options import complete_run, quiet_options, search_options, space_from
from resnet_search.cli.precision import deterministic_option, precision_lines, precision_option
from resnet_search.cli.session import Session
from resnet_search.cli.tracking import track_option


@click.command("run")
@search_options
@baseline_option
@cluster_options
@hang_option("10m")
@budget_options
@track_option
@click.option("--from", "earlier", multiple=True, metavar="RUN", shell_complete=complete_run,
              help="An earlier run: its equal trials are reused, and with --sampler model its scores inform the draws "
              "from the start. Repeatable.")  # fmt: skip
@precision_option
@deterministic_option
@quiet_options
@click.pass_obj
def command(session: Session, /, *, quiet: bool, no_export: bool, **options: Any) -> None:
    """Search a space and export the best network.

    Writes a verified SavedModel and a report to the run's folder.

    Stop it with Ctrl-C at any time and continue with `resnet-search resume`. --time-budget and --max-trials stop it
    cleanly.
    """
    from resnet_search.cli.searching import begin
    from resnet_search.runs.folder import find_run
    from resnet_search.search.counted import counted_images
    from resnet_search.spaces.plan import make_plan
    from resnet_search.trackers.choice import check_installed

    take_cluster(session, options, options["runs_dir"])
    space = space_from(options)
    options["earlier"] = tuple(find_run(name, options["runs_dir"]).path for name in options["earlier"])
    check_installed(options["track"] or space.track, "--track")
    images = counted_images(space.data, options["data_dir"], options["train_examples"])
    plan = make_plan(space, classes=images.planned_classes)

    def told() -> Iterable[str]:
        from resnet_search.cli.gpu import gpu_lines
        from resnet_search.cli.memory import memory_lines, too_large
        from resnet_search.cli.plan_tables import plan_totals
        from resnet_search.cli.timing import time_of

        known = known_of(space, options, images.planned_classes)
        yield f"Space      {space.name}"
        time = time_of(space, plan, images, known, options)
        yield from plan_totals(plan, time)
        yield from gpu_lines(time, options["workers"], options["device"])
        yield from baseline_lines(known, space.hyperband.max_epochs)
        yield from memory_lines(too_large(space, plan, images, known, options))
        yield from precision_lines(plan, options["precision"], options["workers"], options["device"])

    begin(session, space, plan, told, options, quiet=quiet, export=not no_export)
