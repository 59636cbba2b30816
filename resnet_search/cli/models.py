"""resnet-search models"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from resnet_search.cli.axes import MOST, ImageShape, axis_options
from resnet_search.cli.options import Whole, json_option
from resnet_search.errors import ArchitectureError, UsageError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.networks.dialect import BLOCK_TYPES
from resnet_search.networks.memory import training_memory
from resnet_search.networks.presets import PRESETS, Preset, preset

SIZES: Final = ("blocks", "depth", "n")
FLOAT_BYTES: Final = 4  # bytes of a stored weight


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of networks."""
    del ctx, param
    return [CompletionItem(name) for name in PRESETS if name.startswith(incomplete.lower())]


@click.command("models", params=axis_options())
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_model)
@click.option(
    "--input-shape",
    "--image-size",
    type=ImageShape(),
    metavar="HxWxC|N",
    help="Size of the images to compute costs for.  [default: the preset's; else 32x32x3]",
)
@click.option("--classes", type=Whole(1, MOST), metavar="N", help="Classes.  [default: the preset's; else 10]")
@click.option(
    "--batch-size",
    type=Whole(1, MOST),
    default=128,
    show_default=True,
    metavar="N",
    help="Batch size to estimate the training memory for.",
)
@json_option
def command(
    *, name: str | None, input_shape: tuple[int, int, int] | None, classes: int | None, batch_size: int,
    as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """List the named networks, or compute the cost of one.

    NAME shows one network in full; part of a name lists all that match. With the axes you describe an architecture
    without a name: --block, --width and one of --depth, --n and --blocks are required. After a NAME, they change
    these axes of that network.
    """
    from resnet_search.cli.screen import show, show_json

    axes = {axis: value for axis, value in options.items() if value is not None}
    single = bool(axes) or (name or "").lower() in PRESETS
    found = [_with_axes(name, axes)] if axes else _named(name or "")
    documents = [describe(each, input_shape, classes, batch_size) for each in found]
    if as_json:
        show_json("models/1", {"models": documents})
        return
    from resnet_search.cli.model_tables import model_details, models_table

    show(model_details(documents[0]) if single else models_table(documents))


def _named(name: str) -> list[Preset]:
    """Return the preset of this name, else all whose names contain it; raise an error with near names if none does."""
    having = [each for each in PRESETS.values() if name.lower() in each.name]
    return having if having and name.lower() not in PRESETS else [preset(name, "NAME")]


def _with_axes(name: str | None, axes: dict[str, Any]) -> Preset:
    """Return the architecture of these axes, or a preset with these changed; a broken rule is a usage error."""
    base = {} if name is None else preset(name, "NAME").architecture.to_dict()
    if any(size in axes for size in SIZES):
        base.pop("blocks", None)
    axes = base | axes
    missing = [f"--{axis}" for axis in ("block", "width") if axis not in axes]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)}: missing; an architecture needs a block, a width and one of depth, n, blocks",
            "Or start from a named one: resnet-search models",
        )
    try:
        a = Architecture.from_axes(**axes)
    except ArchitectureError as error:
        raise UsageError(f"{error.rule}: {error.message}", error.cure) from error
    if name is None:
        return Preset(a.name, a, BLOCK_TYPES[a.block].source)
    start = preset(name)
    note = f"{start.name} with other axes"
    return Preset(a.name, a, start.source, None, note, start.input_shape, start.classes)


def describe(
    each: Preset, input_shape: tuple[int, int, int] | None, classes: int | None, batch_size: int
) -> dict[str, Any]:
    """Describe a network, JSON-able: axes, cost and origin. None for input or classes: the preset's own.

    The published error only holds for the preset's own: for others it is None, and its note is empty.
    """
    a = each.architecture
    input_shape, classes = input_shape or each.input_shape, classes or each.classes
    published = (input_shape, classes) == (each.input_shape, each.classes)
    cost = complexity(a, input_shape, classes)
    axes = asdict(a)
    return {
        "name": each.name,
        "block": axes.pop("block"),
        "depth": a.depth,
        **axes,
        "channels": [a.stem_channels, *map(a.outputs, range(len(a.blocks)))],
        "input_shape": input_shape,
        "classes": classes,
        **asdict(cost),
        "weights_bytes": FLOAT_BYTES * (cost.trainable + cost.nontrainable),
        "batch_size": batch_size,
        "memory_bytes": training_memory(a, batch=batch_size, input_shape=input_shape, classes=classes),
        "error": each.error if published else None,
        "source": each.source,
        "note": each.note if published or each.error is None else "",
    }
