"""What trials have on the axes of their space, as the report and the trackers know them: one value a name."""

from __future__ import annotations

from typing import Any

from resnet_search.errors import UserError
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.trials import RunView, Trial
from resnet_search.spaces.points import values_of
from resnet_search.spaces.space import SearchSpace

Value = str | bool | int | float | None


def space_of(view: RunView) -> SearchSpace | None:
    """The space that a run searches; None where run.json has none that this version knows."""
    try:
        return SearchSpace.from_dict(view.content["space"])
    except UserError:
        return None


def values_on_axes(space: SearchSpace | None, trial: Trial) -> dict[str, Value]:
    """A trial's values on the axes of the space, and of its recipe where that varies.

    An axis that means nothing for its block, such as cardinality for a block without groups, is left out.
    """
    axes = {} if space is None else values_of(space.axes, Architecture.from_dict(trial.architecture))
    return {axis: plain(value) for axis, value in {**axes, **trial.recipe}.items()}


def plain(value: Any) -> Value:
    """A value that everybody takes for one: the numbers of a list, joined by hyphens, are text."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def in_order(values: set[Any]) -> list[Any]:
    """Numbers by size, then text by letter."""
    return sorted(values, key=lambda value: (isinstance(value, str), value is None, value if value is not None else 0))
