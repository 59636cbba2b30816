"""resnet-search plan"""

from __future__ import annotations

from typing import Any

import click

from resnet_search.cli.baselines import baseline_json, baseline_lines, baseline_option, known_of
from resnet_search.cli.options import json_option, search_options, space_from


@click.command("plan")
@search_options
@baseline_option
@click.option(
    "--count", is_flag=True, help="Count feasible architectures instead of estimating their number in large spaces."
)
@json_option
def command(*, count: bool, as_json: bool, **options: Any) -> None:
    """Show what a run would do, without training.

    Shows brackets, rungs, candidates, trials and epochs; which architectures are feasible, and why others are excluded;
    and the estimated time. It counts the images of a folder and reports the same errors as `run`.
    """
    from resnet_search.cli.memory import memory_lines, too_large
    from resnet_search.cli.screen import show, show_json
    from resnet_search.cli.text import roughly
    from resnet_search.cli.timing import time_of
    from resnet_search.search.counted import counted_images
    from resnet_search.spaces.plan import make_plan
    from resnet_search.training.datasets.copies import count_copies

    space = space_from(options)
    images = counted_images(space.data, options["data_dir"], options["train_examples"])
    copies = count_copies(space.data.source, options["data_dir"])
    classes, epochs = images.planned_classes, space.hyperband.max_epochs
    plan = make_plan(space, classes=classes)
    if count and not plan.feasible.exact:
        takes = roughly(plan.feasible.counting_seconds)
        click.echo(f"Counting {plan.feasible.total:,} combinations takes {takes}; press Ctrl-C to cancel.", err=True)
        plan = make_plan(space, classes=classes, count=True)
    known = known_of(space, options, classes)
    time = time_of(space, plan, images, known, options)
    tight = too_large(space, plan, images, known, options)
    if as_json:
        show_json(
            "plan/1",
            {
                "space": space.name,
                "method": space.method,
                "feasible": plan.feasible.count,
                "interval": plan.feasible.interval,
                "exact": plan.feasible.exact,
                "total": plan.feasible.total,
                "excluded": plan.feasible.excluded,
                "explained": plan.feasible.explained,
                "brackets": plan.to_list(),
                "baselines": baseline_json(known, epochs),
                "candidates": plan.candidates,
                "trials": plan.trials,
                "epochs": plan.epochs,
                "promotion": space.hyperband.promotion,
                "most_trials": plan.most_trials,
                "most_epochs": plan.most_epochs,
                "full_epochs": plan.full_epochs,
                "final": plan.final_dict(),
                "mean_macs": plan.mean_macs,
                "too_large": {} if tight is None else tight.to_dict(),
                "images": images.train,
                "validation": images.validation,
                "classes": images.classes,
                "notes": list(images.notes),
                "duplicates": None if copies is None else copies.to_dict(),
                **time.to_dict(),
            },
        )
        return
    from resnet_search.cli.grid import Hanging
    from resnet_search.cli.plan_tables import plan_tables
    from resnet_search.cli.tables import line

    show([line(f"{space.name}: {space.description}" if space.description else space.name), line("")])
    show(plan_tables(space, plan, time, images, copies))
    show(map(Hanging, baseline_lines(known, epochs)))
    show(map(Hanging, memory_lines(tight)))
