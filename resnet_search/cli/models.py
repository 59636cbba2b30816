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
FLOAT_BYTES: Final = 4  # of a weight as it is stored


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of networks that begin so."""
    del ctx, param
    return [CompletionItem(name) for name in PRESETS if name.startswith(incomplete.lower())]


@click.command("models", params=axis_options())
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_model)
@click.option(
    "--input-shape",
    "--image-size",
    type=ImageShape(),
    metavar="HxWxC|N",
    help="Images to cost it for.  [default: the preset's; 32x32x3 without one]",
)
@click.option("--classes", type=Whole(1, MOST), metavar="N", help="Classes.  [default: the preset's; 10 without one]")
@click.option(
    "--batch-size",
    type=Whole(1, MOST),
    default=128,
    show_default=True,
    metavar="N",
    help="Images in the training step whose memory is estimated.",
)
@json_option
def command(
    *, name: str | None, input_shape: tuple[int, int, int] | None, classes: int | None, batch_size: int,
    as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """List the networks that have a name, or cost any architecture.

    NAME shows one of them in full; a part of a name lists those that have it. The axes cost an architecture without a
    name, from --block, --width and one of --depth, --n and --blocks on; or, behind NAME, that network with these axes
    changed.
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
    """The preset of a name; or else those that have it in theirs, and without any the error that says what is near."""
    having = [each for each in PRESETS.values() if name.lower() in each.name]
    return having if having and name.lower() not in PRESETS else [preset(name, "NAME")]


def _with_axes(name: str | None, axes: dict[str, Any]) -> Preset:
    """The architecture of these axes, or of a preset with these changed; a broken rule is a usage error here."""
    base = {} if name is None else preset(name, "NAME").architecture.to_dict()
    if any(size in axes for size in SIZES):
        base.pop("blocks", None)
    axes = base | axes
    missing = [f"--{axis}" for axis in ("block", "width") if axis not in axes]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)}: missing; an architecture needs a block, a width and one of depth, n, blocks",
            "Or start from one that has a name: resnet-search models",
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
    """A network, JSON-able: its axes, its costs and where it comes from; at its own input and classes for none.

    An error was published for these alone: for others it is None, and the note on it empty.
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
