"""An architecture of the ResNet family: its validated axes, its depth and a stable name. No Keras here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from resnet_search.networks.dialect import BLOCK_TYPES, BLOCKS, SHORTCUTS
from resnet_search.networks.rules import check, check_choice, reject

__all__ = ["BLOCKS", "SHORTCUTS", "Architecture", "applies", "layers_per_block", "nearest_depths"]

STAGES: Final = 3  # stages of a CIFAR network given by its depth (He et al. 2015, section 4.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Every axis of a network. Raises `ArchitectureError`, whose `rule` names the broken rule.

    width: channels of the first stage, w; stage s has w·multiple(s), times the block's expansion at its output.
    base_width: inner channels of one group in the first stage; none: 2·w in total (only resnext has groups).
    multiples, inner_multiples: multiples of width per stage, for outputs and inside; none: 1, 2, 4, ... (same inside).
    stem_width: channels of the stem; none: w, or 16 for block "wide", as in its paper.
    stochastic_depth: probability at which the last block is dropped, 1 - p_L of Huang et al. 2016; linear from 0.
    bias: convolutions with a bias: "none", "all", or "unnormalised" (those without a batch norm after them).
    shortcut_norm: batch norm after a projection (post-activation blocks).
    downsample: the layer with a stage's stride: the 3x3 of its first block ("conv3"), that block's first convolution
        ("conv1", the 2015 paper and keras.applications), or in the last block of the stage before ("last", its V2).
    """

    block: str
    blocks: tuple[int, ...]
    width: int
    shortcut: str = "projection"
    cardinality: int = 1
    base_width: int | None = None
    attention: str = "none"
    attention_ratio: int = 16
    attention_bias: bool = False
    stem: str = "cifar"
    stem_width: int | None = None
    multiples: tuple[float, ...] | None = None
    inner_multiples: tuple[float, ...] | None = None
    activation: str = "relu"
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    zero_gamma: bool = False
    bias: str = "none"
    shortcut_norm: bool = True
    downsample: str = "conv3"
    gate_bias: float = -2.0

    def __post_init__(self) -> None:
        if self.block == "plain":  # it has no shortcut: every value of that axis is the same network
            object.__setattr__(self, "shortcut", "none")
        check(self)

    @classmethod
    def from_axes(cls, *, block: str, width: int, depth: int | None = None, n: int | None = None, **axes: Any) -> Self:
        """Make one from the axes of a search space: `depth`, `n` (blocks in each of three stages) or `blocks` (a list).

        Raises `ArchitectureError`; for an impossible depth it names the nearest possible ones.
        """
        check_choice("block", block, BLOCKS)
        sizes = {"depth": depth, "n": n, "blocks": axes.get("blocks")}
        given = [name for name, value in sizes.items() if value is not None]
        if len(given) != 1:
            reject(
                "one of depth, n, blocks",
                f"given: {', '.join(given) or 'none of depth, n, blocks'}; allowed: exactly one.",
            )
        if depth is not None:
            n = _blocks_of(block, depth)
        if n is not None:
            axes["blocks"] = (n,) * STAGES
        return cls.from_dict({"block": block, "width": width, **axes})

    @classmethod
    def from_dict(cls, axes: Mapping[str, Any]) -> Self:
        """Make one from `to_dict` or JSON: lists become tuples; an unknown key raises `ArchitectureError`."""
        for name in axes:
            check_choice("axis", name, _AXES)
        for name in ("block", "blocks", "width"):
            if name not in axes:
                reject("missing axis", f"{name} is missing; an architecture needs block, blocks and width.")
        values: dict[str, Any] = {}
        for name, value in axes.items():
            values[name] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the axes, JSON-able; axes after base_width only if they differ from their default."""
        values = {name: getattr(self, name) for name in _AXES}
        kept = {name: value for name, value in values.items() if name in _LEADING or value != _DEFAULTS[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}

    @property
    def depth(self) -> int:
        """Return the number of layers with weights on the longest path, as the block's paper counts them."""
        kind = BLOCK_TYPES[self.block]
        ends = 1 + len(self.blocks) if kind.counts_projections else 2
        return len(kind.branch) * sum(self.blocks) + ends

    @property
    def name(self) -> str:
        """Return a unique name, stable across versions and usable as a file name: "resnext20-w16-c4"."""
        words = [f"{self.block}{self.depth}", f"w{self.width}"]
        if self.blocks != (self.blocks[0],) * STAGES:
            words.append("b" + "x".join(map(str, self.blocks)))
        for axis, mark in _MARKS.items():
            value = getattr(self, axis)
            if value != _DEFAULTS[axis] and value != "none":
                words.append(mark + _word(value))
        return "-".join(words)

    @property
    def stem_channels(self) -> int:
        """Return the channels after the stem."""
        return self.stem_width or BLOCK_TYPES[self.block].stem_width or self.width

    def outputs(self, stage: int) -> int:
        """Return the output channels of the blocks of a stage (from 0)."""
        multiple = self.multiples[stage] if self.multiples else 2**stage
        return int(self.width * multiple) * BLOCK_TYPES[self.block].expansion

    def inner(self, stage: int) -> int:
        """Return the channels inside the blocks of a stage, all groups together."""
        multiples = self.inner_multiples or self.multiples
        multiple = multiples[stage] if multiples else 2**stage
        if self.base_width is not None:
            return self.cardinality * int(self.base_width * multiple)
        return int(self.width * multiple) * BLOCK_TYPES[self.block].inner


_AXES: Final = tuple(field.name for field in fields(Architecture))
_LEADING: Final = frozenset(_AXES[:6])
_DEFAULTS: Final = {field.name: field.default for field in fields(Architecture)}
_MARKS: Final = {
    "cardinality": "c",
    "base_width": "d",
    "shortcut": "",
    "attention": "",
    "attention_ratio": "r",
    "attention_bias": "sebias",
    "stem": "",
    "stem_width": "stem",
    "multiples": "m",
    "inner_multiples": "i",
    "activation": "",
    "dropout": "drop",
    "stochastic_depth": "sd",
    "zero_gamma": "zg",
    "bias": "bias_",
    "shortcut_norm": "nosn",
    "downsample": "ds_",
    "gate_bias": "gate",
}


def _word(value: object) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, tuple):
        return "x".join(map(_word, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def applies(axis: str, *, block: str, attention: str = "none") -> bool:
    """Return whether an axis applies in combination with these; if not, leave it at its default."""
    kind = BLOCK_TYPES[block]
    return {
        "cardinality": kind.grouped,
        "base_width": kind.grouped,
        "shortcut": kind.merge != "none",
        "attention": kind.merge != "none",
        "attention_ratio": attention != "none",
        "attention_bias": attention != "none",
        "dropout": kind.drops,
        "stochastic_depth": kind.merge == "add",
        "zero_gamma": kind.merge == "add" and not kind.preactivation,
        "shortcut_norm": kind.merge != "none" and not kind.preactivation,
        "gate_bias": kind.merge == "gate",
        "inner_multiples": kind.bottleneck,
    }.get(axis, True)


def layers_per_block(block: str) -> int:
    """Return k, the convolutions on a block's branch: the depth of a network is k·(sum of blocks) + 2."""
    check_choice("block", block, BLOCKS)
    return len(BLOCK_TYPES[block].branch)


def _ends(block: str) -> int:
    return 1 + STAGES if BLOCK_TYPES[block].counts_projections else 2


def nearest_depths(blocks: str | Iterable[str], depth: int) -> list[int]:
    """Return the possible depths nearest to `depth`, below and above, for three equal stages of this block."""
    found = set()
    for block in [blocks] if isinstance(blocks, str) else blocks:
        step = layers_per_block(block) * STAGES
        n, rest = divmod(depth - _ends(block), step)
        found |= {_ends(block) + step * max(1, count) for count in ((n, n + 1) if rest else (n,))}
    return sorted(found)


def _blocks_of(block: str, depth: int) -> int:
    step = layers_per_block(block) * STAGES
    if type(depth) is not int or depth < 1:
        reject("depth is a count", f"depth is {depth!r}; allowed: a whole number, {step}n+{_ends(block)}.")
    n, rest = divmod(depth - _ends(block), step)
    if rest or n < 1:
        near = " and ".join(map(str, nearest_depths(block, depth)))
        reject(
            "depth fits no n",
            f"depth is {depth}, but block {block!r} has depths {step}n+{_ends(block)}.",
            f"The nearest: {near}.",
        )
    return n
