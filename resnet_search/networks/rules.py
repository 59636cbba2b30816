"""The rules for valid architectures, all in one place; each raises an `ArchitectureError` that names it.

A rule's name is the same for every case, so that `plan` can count the architectures it excludes.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn

from resnet_search.errors import ArchitectureError
from resnet_search.networks.axes import CHOICES
from resnet_search.networks.dialect import BLOCK_TYPES, BLOCKS, BlockType

if TYPE_CHECKING:
    from resnet_search.networks.architecture import Architecture

# Block plain has no shortcut, and the axis has no other value for it.
_NAMES: Final = tuple(
    (axis, (*names, "none") if axis == "shortcut" else names) for axis, names in CHOICES.items() if axis != "block"
)
# Far beyond any published network: a file that names more would take all memory.
MOST_STAGES: Final = 32
MOST_BLOCKS: Final = 10_000
MOST_CHANNELS: Final = 1_000_000
MOST_BIAS: Final = 1_000_000
_FLAGS: Final = ("attention_bias", "zero_gamma", "shortcut_norm")


def reject(rule: str, message: str, cure: str = "") -> NoReturn:
    """Raise the error of a rule."""
    raise ArchitectureError(message, cure, rule=rule)


def check_choice(axis: str, value: object, allowed: Sequence[str]) -> None:
    """Reject a value that is not an allowed name of an axis; the message offers the nearest."""
    if value in allowed:
        return
    near = get_close_matches(str(value), allowed)
    cure = f"Did you mean {near[0]!r}?" if near else ""
    reject(f"unknown {axis}", f"{axis} is {value!r}; allowed: {', '.join(allowed)}.", cure)


def check(a: Architecture) -> None:
    """Raise `ArchitectureError` at the first rule that `a` breaks."""
    check_choice("block", a.block, BLOCKS)
    kind = BLOCK_TYPES[a.block]
    for axis, allowed in _NAMES:
        if getattr(a, axis) not in allowed:
            check_choice(axis, getattr(a, axis), allowed)
    for axis in _FLAGS:
        if type(getattr(a, axis)) is not bool:
            reject(f"{axis} is a flag", f"{axis} is {getattr(a, axis)!r}; allowed: true, false.")
    _check_sizes(a)
    _check_bounds(a)
    _check_widths(a, kind)
    _check_groups(a, kind)
    _check_meaning(a, kind)


def _check_sizes(a: Architecture) -> None:
    blocks = a.blocks
    if type(blocks) is not tuple or not blocks or any(type(n) is not int or n < 1 for n in blocks):
        reject(
            "blocks are counts",
            f"blocks is {blocks!r}; allowed: one whole number of at least 1 for each stage.",
            "Three stages of two blocks are (2, 2, 2).",
        )
    for axis in ("width", "cardinality", "attention_ratio"):
        value = getattr(a, axis)
        if type(value) is not int or value < 1:
            reject(f"{axis} is a count", f"{axis} is {value!r}; allowed: a whole number of at least 1.")
    for axis in ("base_width", "stem_width"):
        value = getattr(a, axis)
        if value is not None and (type(value) is not int or value < 1):
            reject(f"{axis} is a count", f"{axis} is {value!r}; allowed: a whole number of at least 1, or none.")
    for axis in ("dropout", "stochastic_depth"):
        value = getattr(a, axis)
        if type(value) is bool or not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
            reject(f"{axis} is a rate", f"{axis} is {value!r}; allowed: 0 (off) to below 1.")
    if type(a.gate_bias) is bool or not isinstance(a.gate_bias, (int, float)) or not abs(a.gate_bias) <= MOST_BIAS:
        reject("gate_bias is a number", f"gate_bias is {a.gate_bias!r}; allowed: a number, -1 to -3 in the paper.")


def _check_bounds(a: Architecture) -> None:
    stages, blocks = len(a.blocks), sum(a.blocks)
    if stages > MOST_STAGES or blocks > MOST_BLOCKS:
        reject(
            "too many blocks",
            f"blocks has {stages:,} stages and {blocks!r:.20} blocks; allowed: {MOST_STAGES} stages and "
            f"{MOST_BLOCKS:,} blocks.",
        )
    for axis in ("width", "cardinality", "attention_ratio", "base_width", "stem_width"):
        if (getattr(a, axis) or 0) > MOST_CHANNELS:
            reject(f"{axis} is too large", f"{axis} is {getattr(a, axis)!r:.20}; allowed: up to {MOST_CHANNELS:,}.")


def _check_widths(a: Architecture, kind: BlockType) -> None:
    for axis, base in (("multiples", a.width), ("inner_multiples", a.base_width or a.width)):
        multiples = getattr(a, axis)
        if multiples is None:
            continue
        if type(multiples) is not tuple or len(multiples) != len(a.blocks):
            reject(
                "one multiple for each stage",
                f"{axis} is {multiples!r}; allowed: {len(a.blocks)} numbers, one for each stage.",
            )
        for multiple in multiples:
            positive = type(multiple) in (int, float) and 0 < multiple <= MOST_CHANNELS
            if not positive or base * multiple % 1:
                product = f", and {base} x {multiple!r} = {base * multiple:g}" if positive else ""
                reject(
                    "multiples give whole channels",
                    f"{axis} holds {multiple!r}{product}; allowed: numbers above 0 whose product with {base} is whole.",
                )
    if a.inner_multiples is not None and not kind.bottleneck:
        reject(
            "inner widths need a bottleneck",
            f"inner_multiples is {a.inner_multiples!r}, but block {a.block!r} has one width only.",
            "Leave inner_multiples out.",
        )
    if a.shortcut == "identity":
        outs = [a.stem_channels, *(a.outputs(stage) for stage in range(len(a.blocks)))]
        if any(after < before for before, after in pairwise(outs)):
            reject(
                "identity shortcut cannot narrow",
                f"shortcut is 'identity' and the channels are {outs}; it can add zero channels, but not remove any.",
                "Use shortcut 'projection', or widths that do not decrease.",
            )


def _check_groups(a: Architecture, kind: BlockType) -> None:
    if not kind.grouped:
        if a.cardinality != 1 or a.base_width is not None:
            axis, value = ("cardinality", a.cardinality) if a.cardinality != 1 else ("base_width", a.base_width)
            reject(
                f"{axis} without groups",
                f"{axis} is {value}, but block {a.block!r} has no grouped convolution.",
                f"Leave {axis} out, or use block 'resnext' or 'preact_resnext'.",
            )
        return
    for stage in range(len(a.blocks)):
        inner = a.inner(stage)
        if inner % a.cardinality:
            reject(
                "cardinality does not divide",
                f"cardinality is {a.cardinality}, which does not divide the {inner} inner channels of stage {stage + 1}"
                f" (width {a.width}).",
                "Use a divisor of it, or give base_width: the inner width is then cardinality·base_width.",
            )


def _check_meaning(a: Architecture, kind: BlockType) -> None:
    """Reject combinations of valid values that mean nothing together."""
    branches = kind.merge == "add"
    if kind.merge == "none" and a.attention != "none":
        reject(
            "attention needs a branch",
            f"attention is {a.attention!r}, but block {a.block!r} has no residual branch to scale.",
            "Leave attention out, or use a residual block.",
        )
    if a.attention == "none" and (a.attention_ratio != 16 or a.attention_bias):  # noqa: PLR2004
        axis, value = ("attention_bias", "true") if a.attention_bias else ("attention_ratio", a.attention_ratio)
        reject(
            "attention axes without attention",
            f"{axis} is {value}, but attention is 'none'.",
            f"Leave {axis} out, or set attention to 'se'.",
        )
    if a.stochastic_depth and not branches:
        reject(
            "stochastic depth needs an addition",
            f"stochastic_depth is {a.stochastic_depth}, but block {a.block!r} adds no branch that could be dropped.",
            "Leave stochastic_depth out.",
        )
    if a.zero_gamma and (not branches or kind.preactivation):
        reject(
            "zero gamma needs a norm before the addition",
            f"zero_gamma is true, but the branch of block {a.block!r} does not end in a batch norm that is added: "
            "the branch would start at zero and never train.",
            "Leave zero_gamma out, or use block 'basic', 'bottleneck' or 'resnext'.",
        )
    if a.dropout and not kind.drops:
        reject(
            "dropout needs a wide block",
            f"dropout is {a.dropout}, but block {a.block!r} has no place for it.",
            "Leave dropout out, or use block 'wide'.",
        )
    if a.gate_bias != -2.0 and kind.merge != "gate":  # noqa: PLR2004
        reject(
            "gate_bias needs a gate",
            f"gate_bias is {a.gate_bias}, but block {a.block!r} has no gate.",
            "Leave gate_bias out, or use block 'highway'.",
        )
    _check_shortcut(a, kind)


def _check_shortcut(a: Architecture, kind: BlockType) -> None:
    if a.shortcut == "none" and kind.merge != "none":
        reject(
            "a residual block has a shortcut",
            f"shortcut is 'none', but block {a.block!r} is residual.",
            "Use block 'plain' for a network without shortcuts.",
        )
    if not a.shortcut_norm and (kind.preactivation or a.shortcut in ("identity", "none")):
        reject(
            "shortcut_norm needs a normalised projection",
            f"shortcut_norm is false, but block {a.block!r} with shortcut {a.shortcut!r} has no norm there.",
            "Leave shortcut_norm out.",
        )
    if a.downsample == "conv1" and not kind.bottleneck:
        reject(
            "downsample needs a bottleneck",
            f"downsample is 'conv1', but block {a.block!r} has no 1x1 convolution before its 3x3.",
            "Leave downsample out.",
        )
    if a.downsample == "last" and (a.shortcut == "all_projection" or 1 in a.blocks[:-1]):
        reject(
            "late downsampling needs a second block",
            f"downsample is 'last' with blocks {a.blocks} and shortcut {a.shortcut!r}; allowed: at least 2 blocks in "
            "each stage except the last, and a shortcut other than 'all_projection'.",
        )
