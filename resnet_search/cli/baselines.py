"""`--baseline` and `--no-baseline`: known networks that are trained along with a search, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from resnet_search.cli.options import Function
from resnet_search.cli.text import count
from resnet_search.report.units import counted

if TYPE_CHECKING:
    from resnet_search.search.known import Known
    from resnet_search.spaces.space import SearchSpace


def baseline_option(function: Function) -> Function:
    """Add --baseline, which can be repeated, and --no-baseline."""
    function = click.option(
        "--no-baseline", "reference", is_flag=True, flag_value=False, default=True,
        help="Leave out the published ResNet. By default, a space with limits also trains the largest published ResNet "
        "that fits them, first and for the full budget, and this network wins if no other is better.",
    )(function)  # fmt: skip
    return click.option(
        "--baseline", "baselines", multiple=True, metavar="MODEL", callback=_check, shell_complete=_complete,
        help="Also train this network, first and for the full budget, with the space's recipe, and compare the results "
        "with it: a name such as resnet-20 (resnet-search models lists them), or axes such as "
        "block=basic,n=3,width=16. It can win if the space has limits and it fits them. Repeatable.",
    )(function)  # fmt: skip


def known_of(space: SearchSpace, options: dict[str, Any], classes: int) -> tuple[Known, ...]:
    """Return the known networks of a search, with their cost on colour images of the space's size."""
    from resnet_search.search.known import known_networks

    shape = (space.data.image_size, space.data.image_size, 3)
    return known_networks(space, options["baselines"], shape, classes, reference=options["reference"])


def baseline_lines(known: Sequence[Known], epochs: int) -> Iterable[str]:
    """Yield the lines they add to a plan: one each and a total. Each is trained for `epochs`."""
    for one in known:
        can_win = "; inside the limits, so it can win" if one.ranked else ""
        yield (
            f"Baseline   {one.preset.name}: {count(one.cost.trainable)} parameters, {count(one.cost.macs)} "
            f"multiply-adds{can_win}"
        )
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


def baseline_json(known: Sequence[Known], epochs: int) -> list[dict[str, Any]]:
    """Return the same, JSON-able."""
    return [
        {
            "name": one.preset.name,
            "params": one.cost.trainable,
            "macs": one.cost.macs,
            "epochs": epochs,
            "ranked": one.ranked,
        }
        for one in known
    ]
