"""--precision, of the commands that start a run."""

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
    """What trials compute in; a run keeps it."""
    return click.option(
        "--precision", type=OneOf(PRECISIONS), default=AUTO, show_default=True, metavar="|".join(PRECISIONS),
        help="What networks compute in. auto: bfloat16 on GPUs that have it, else float32. bfloat16 on a processor "
        "that has it: in blocks whose channels are multiples of 16.",
    )(function)  # fmt: skip


def precision_lines(plan: Plan, precision: str, workers: int | Cluster | None, device: str) -> Iterable[str]:
    """What --precision bfloat16 would save on this machine's processor, where it was not asked for."""
    from resnet_search.networks.precision import has_wide_blocks
    from resnet_search.workers.devices import nvidia_gpus

    if precision != AUTO or isinstance(workers, Cluster) or os.environ.get("KERAS_BACKEND") not in {None, "tensorflow"}:
        return
    if device == "gpu" or not processor_has_bfloat16() or (device == "auto" and nvidia_gpus()):
        return
    # Some of many: working all of 7,000 out takes longer than the plan does.
    some_of = plan.feasible.architectures[:: 1 + len(plan.feasible.architectures) // _LOOKED_AT]
    share = sum(map(has_wide_blocks, some_of)) / max(1, len(some_of))
    if share:
        some = "" if share == 1 else f" of about {100 * share:.0f} % of the networks"
        yield (
            f"Precision  float32. This processor computes in bfloat16 too: --precision {BFLOAT16} makes an epoch{some} "
            "shorter, by 4 to 35 % where it was measured (docs/backends.md)"
        )


_LOOKED_AT = 500
