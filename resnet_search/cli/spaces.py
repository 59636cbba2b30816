"""resnet-search spaces"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from resnet_search.cli.options import json_option


@click.command("spaces")
@json_option
def command(*, as_json: bool) -> None:
    """List the built-in search spaces and those in ./search_spaces.

    Shows each space's axes, its number of feasible architectures and their cost, and the size of its plan.
    """
    from resnet_search.cli.screen import show, show_json
    from resnet_search.spaces.load import known_spaces

    spaces = [describe(name, path) for name, path in sorted(known_spaces().items())]
    if as_json:
        show_json("spaces/1", {"spaces": spaces})
        return
    from resnet_search.cli.plan_tables import spaces_table

    show(spaces_table(spaces))


def describe(name: str, path: Path) -> dict[str, Any]:
    """Describe a space, JSON-able; for an invalid one, give its mistakes."""
    from resnet_search.errors import SpaceError
    from resnet_search.spaces.load import load_space
    from resnet_search.spaces.plan import make_plan

    try:
        space = load_space(str(path.absolute()))
        plan = make_plan(space)
    except SpaceError as error:
        return {"name": name, "path": str(path), "mistakes": list(error.mistakes)}
    feasible = plan.feasible
    params, macs = [cost.trainable for cost in feasible.costs], [cost.macs for cost in feasible.costs]
    values = space.to_dict()
    return {
        "name": name,
        "path": str(path),
        "description": space.description,
        "method": space.method,
        "axes": values["axes"],
        "limits": values["limits"],
        "hyperband": values["hyperband"],
        "data": space.data.source,
        "feasible": feasible.count,
        "exact": feasible.exact,
        "total": feasible.total,
        "params": [min(params), max(params)],
        "macs": [min(macs), max(macs)],
        "candidates": plan.candidates,
        "trials": plan.trials,
        "epochs": plan.epochs,
    }
