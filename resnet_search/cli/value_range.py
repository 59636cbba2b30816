"""The option --value-range: what the numbers in images mean."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:  # Not generic at run time in older versions of click.
    ParamType = click.ParamType


class ValueRange(ParamType):
    """The values of black and white, as LOW,HIGH."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        from resnet_search.training.datasets.values import is_range

        if isinstance(value, tuple):
            return value
        numbers: list[float] = []
        with suppress(ValueError):
            numbers = [float(part) for part in str(value).split(",")]
        if not is_range(numbers) or "_" in str(value):
            self.fail(f"got {str(value)!r}; allowed: LOW,HIGH, two numbers, the lower first, such as 0,16", param, ctx)
        return numbers[0], numbers[1]


value_range_option = click.option(
    "--value-range", type=ValueRange(), metavar="LOW,HIGH",
    help="Values of black and white in the images, where their numbers do not show it: 0,16 for numbers from 0 to 16.  "
    "[default: bytes as they are, other numbers if their range is certain]",
)  # fmt: skip
