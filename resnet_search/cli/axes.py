"""One option for every axis of an architecture, generated from the fields of `Architecture`."""

from __future__ import annotations

import math
from dataclasses import MISSING, Field, fields
from typing import Any, Final

import click

from resnet_search.cli.options import OneOf, ParamType, Whole
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.axes import CHOICES, MEANINGS

MOST: Final = 10**6  # largest count: no network needs more, and printed numbers stay short
STAGES: Final = 16  # most stages, for the same reason


class Number(ParamType):
    """A number from -MOST to MOST; integers stay integers. `allowed`: the axis's range, for messages only."""

    name = "number"

    def __init__(self, allowed: str) -> None:
        self.allowed = allowed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        text = str(value)
        try:
            number = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            number = math.nan
        if not abs(number) <= MOST:
            self.fail(f"got {text!r}; allowed: {self.allowed}", param, ctx)
        return int(number) if number.is_integer() else number


class Several(ParamType):
    """Comma-separated values of one type, one for each stage."""

    name = "list"

    def __init__(self, each: ParamType) -> None:
        self.each = each

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        words = str(value).split(",")
        if len(words) > STAGES or "" in words:
            got = f"{len(words)} values" if all(words) else repr(str(value))
            self.fail(f"got {got}; allowed: 1 to {STAGES} comma-separated values", param, ctx)
        return tuple(self.each.convert(word, param, ctx) for word in words)


class ImageShape(ParamType):
    """Height, width and channels as HxWxC, or N for a square image with three channels."""

    name = "shape"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int]:
        words = str(value).split("x")
        right = all(word.isascii() and word.isdigit() and len(word) < 6 and int(word) for word in words)  # noqa: PLR2004
        if right and len(words) == 1:
            words = [*words * 2, "3"]
        if not right or len(words) != 3:  # noqa: PLR2004
            self.fail(f"got {str(value)!r}; allowed: HxWxC or N, such as 32x32x3 or 32, up to 99,999", param, ctx)
        height, width, channels = map(int, words)
        return height, width, channels


_NUMBERS: Final = {
    "dropout": "numbers from 0 to below 1",
    "stochastic_depth": "numbers from 0 to below 1",
    "gate_bias": f"numbers from {-MOST:,} to {MOST:,}",
    "multiples": f"numbers above 0, up to {MOST:,}",
    "inner_multiples": f"numbers above 0, up to {MOST:,}",
}


def axis_options() -> list[click.Parameter]:
    """Make --block, --blocks, --width ...: one for each field of `Architecture`, None if not given.

    --depth and --n replace --blocks.
    """
    equal = "in three equal stages; replaces --blocks."
    options: list[click.Parameter] = [_option(axis) for axis in fields(Architecture)]
    sizes = (("depth", f"Layers with weights, {equal}"), ("n", f"Blocks in each stage, {equal}"))
    options[1:1] = [
        click.Option([f"--{name}"], type=Whole(1, MOST), metavar="N", help=meaning) for name, meaning in sizes
    ]
    return options


def _option(axis: Field[Any]) -> click.Option:
    flag = axis.name.replace("_", "-")
    meaning = MEANINGS[axis.name]
    sentence = f"{meaning[0].upper()}{meaning[1:]}."
    if axis.default is not MISSING and axis.default is not None:
        sentence += f"  [default: {str(axis.default).lower()}]"
    kind = str(axis.type).removesuffix(" | None")
    if kind == "bool":
        return click.Option([f"--{flag}/--no-{flag}"], default=None, help=sentence)
    if kind == "str":
        names = CHOICES[axis.name]
        return click.Option([f"--{flag}"], type=OneOf(names), metavar="|".join(names), help=sentence)
    each, metavar = (Number(_NUMBERS[axis.name]), "X") if "float" in kind else (Whole(1, MOST), "N")
    if kind.startswith("tuple"):
        return click.Option([f"--{flag}"], type=Several(each), metavar=f"{metavar},{metavar},...", help=sentence)
    return click.Option([f"--{flag}"], type=each, metavar=metavar, help=sentence)
