"""The precision that a network computes in. No Keras here."""

from __future__ import annotations

from typing import Final

from resnet_search.networks.anatomy import Block, anatomy
from resnet_search.networks.architecture import Architecture

FLOAT32: Final = "float32"
MIXED: Final = "mixed_bfloat16"  # Keras's policy: bfloat16, with weights and the last layers in float32
WIDE: Final = "wide_bfloat16"  # MIXED in wide blocks (`is_wide`), FLOAT32 elsewhere
# oneDNN's bfloat16 convolutions on a processor take 0.65 to 0.7 of the time with multiples of it, 1.8 times with 8.
_CHANNELS = 16


def is_wide(block: Block) -> bool:
    """Return whether a processor with bfloat16 instructions has fast kernels for all convolutions of a block."""
    units = (*block.branch, *(unit for unit in (block.projection, block.gate) if unit is not None))
    return all(unit.inputs % _CHANNELS == 0 == unit.outputs % _CHANNELS for unit in units)


def has_wide_blocks(a: Architecture) -> bool:
    """Return whether WIDE computes any block of `a` in bfloat16."""
    stages = zip(anatomy(a).stages, a.blocks, strict=True)
    return any(is_wide(block) for stage, n in stages for block in stage.expand(n))
