"""resnet-search plan"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from resnet_search.cli.options import json_option, search_options, space_from


@click.command("plan")
@search_options
@json_option
def command(*, as_json: bool, **options: Any) -> None:
    """Show what a run would do; train nothing.

    Brackets and rungs, candidates, trials and epochs; what is feasible, what is excluded and why; how long it would
    take.
    """
    from resnet_search.cli.screen import show, show_json
    from resnet_search.runs.speed import machine_speed, training_images
    from resnet_search.spaces.plan import make_plan

    space = space_from(options)
    plan = make_plan(space)
    speed = machine_speed(options["runs_dir"], options["device"])
    images = training_images(space.data, options["train_examples"])
    if as_json:
        show_json(
            {
                "space": space.name,
                "feasible": len(plan.feasible.architectures),
                "total": plan.feasible.total,
                "excluded": plan.feasible.excluded,
                "brackets": plan.to_list(),
                "candidates": plan.candidates,
                "trials": plan.trials,
                "epochs": plan.epochs,
                "full_epochs": plan.full_epochs,
                "mean_macs": plan.mean_macs,
                "images": images,
                "speed": asdict(speed),
                "seconds": None if images is None else plan.seconds(speed, images),
            }
        )
        return
    from resnet_search.cli.tables import line, plan_tables

    show([line(f"{space.name}: {space.description}" if space.description else space.name), line("")])
    show(plan_tables(plan, speed, images))
