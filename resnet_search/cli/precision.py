"""`--precision` and `--deterministic` of the commands that start a run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from resnet_search.cli.options import Function, OneOf
from resnet_search.workers.cluster import Cluster
from resnet_search.workers.precision import AUTO, BFLOAT16, PRECISIONS, processor_has_bfloat16

if TYPE_CHECKING:
    from resnet_search.spaces.plan import Plan


def precision_option(function: Function) -> Function:
    """Add --precision; a run keeps it."""
    return click.option(
        "--precision", type=OneOf(PRECISIONS), default=AUTO, show_default=True, metavar="|".join(PRECISIONS),
        help="Precision of the networks. auto: bfloat16 on GPUs that support it and on processors where a one-second "
        "speed test shows that it is faster, otherwise float32. On a processor, only blocks whose channels are "
        "multiples of 16 use bfloat16.",
    )(function)  # fmt: skip


def deterministic_option(function: Function) -> Function:
    """Add --deterministic; a run keeps it."""
    return click.option(
        "--deterministic", is_flag=True,
        help="Compile only GPU operations that give the same bits in every process, which may be slower. A processor "
        "always gives the same bits with the same --threads.",
    )(function)  # fmt: skip


def precision_lines(plan: Plan, precision: str, workers: int | Cluster | None, device: str) -> Iterable[str]:
    """Say that this machine's processor may train in bfloat16."""
    from resnet_search.networks.precision import has_wide_blocks
    from resnet_search.workers.devices import nvidia_gpus

    if precision != AUTO or isinstance(workers, Cluster) or os.environ.get("KERAS_BACKEND") not in {None, "tensorflow"}:
        return
    if device == "gpu" or not processor_has_bfloat16() or (device == "auto" and nvidia_gpus()):
        return
    # A sample: examining all of 7,000 networks takes longer than planning.
    some_of = plan.feasible.architectures[:: 1 + len(plan.feasible.architectures) // _LOOKED_AT]
    share = sum(map(has_wide_blocks, some_of)) / max(1, len(some_of))
    if share:
        some = "" if share == 1 else f" in about {100 * share:.0f} % of the networks"
        yield f"Precision  {BFLOAT16}{some} if a one-second speed test shows that it is faster, otherwise float32"


_LOOKED_AT = 500
