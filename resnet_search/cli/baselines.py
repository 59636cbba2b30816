"""--baseline: known architectures that a search is compared with, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from resnet_search.cli.options import Function
from resnet_search.cli.text import count
from resnet_search.report.units import counted

if TYPE_CHECKING:
    from resnet_search.networks.complexity import Complexity
    from resnet_search.networks.presets import Preset
    from resnet_search.spaces.space import SearchSpace


def baseline_option(function: Function) -> Function:
    """Add --baseline, which can be repeated."""
    return click.option(
        "--baseline", "baselines", multiple=True, metavar="MODEL", callback=_check, shell_complete=_complete,
        help="Compare the results with this network: a name such as resnet-20 (resnet-search models lists them), or "
        "axes such as block=basic,n=3,width=16. It is trained first, for the full budget, with the space's recipe. "
        "Repeatable.",
    )(function)  # fmt: skip


def baseline_costs(space: SearchSpace, names: Sequence[str], classes: int) -> list[tuple[Preset, Complexity]]:
    """Return the known networks and their cost on colour images of the space's size."""
    from resnet_search.networks.complexity import complexity
    from resnet_search.search.known import baselines_of

    shape = (space.data.image_size, space.data.image_size, 3)
    return [(named, complexity(named.architecture, shape, classes)) for named in baselines_of(names)]


def baseline_lines(known: Sequence[tuple[Preset, Complexity]], epochs: int) -> Iterable[str]:
    """Yield the lines they add to a plan: one each and a total. Each is trained for `epochs`."""
    for named, cost in known:
        yield f"Baseline   {named.name}: {count(cost.trainable)} parameters, {count(cost.macs)} multiply-adds"
    if known:
        yield f"           {counted(len(known), 'trial')} and {counted(len(known) * epochs, 'epoch')} more"


def _check(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    del ctx, param
    if value:
        from resnet_search.search.known import baselines_of

        return tuple(named.name for named in baselines_of(value))
    return value


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del ctx, param
    from resnet_search.networks.presets import PRESETS

    return [CompletionItem(name) for name in PRESETS if name.startswith(incomplete)]


def baseline_json(known: Sequence[tuple[Preset, Complexity]], epochs: int) -> list[dict[str, Any]]:
    """Return the same, JSON-able."""
    return [
        {"name": named.name, "params": cost.trainable, "macs": cost.macs, "epochs": epochs} for named, cost in known
    ]
