"""--precision, of the commands that start a run."""

from __future__ import annotations

import click

from resnet_search.cli.options import Function, OneOf
from resnet_search.workers.precision import AUTO, PRECISIONS


def precision_option(function: Function) -> Function:
    """What trials compute in; a run keeps it."""
    return click.option(
        "--precision", type=OneOf(PRECISIONS), default=AUTO, show_default=True, metavar="|".join(PRECISIONS),
        help="What networks compute in. auto: bfloat16 on GPUs that have it, else float32. bfloat16 on a processor "
        "that has it: in blocks whose channels are multiples of 16.",
    )(function)  # fmt: skip
