"""The small dialect that describes every block of the family: one entry of `BLOCK_TYPES` is one block type.

A layer is one convolution with the layers around it, spelled by `order`: c = convolution, n = batch norm,
a = activation, d = dropout. "cna" is conv-BN-ReLU (He et al. 2015), "nac" the pre-activation order (He et al. 2016).
The Keras model (`blocks`), the arithmetic (`complexity`) and the depth (`architecture`) all follow from these entries
through `anatomy`: to add a block type, add an entry here (docs/blocks.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution of a branch: kernel side, width ("inner" or "out" of the block), order, grouped or not."""

    kernel: int
    width: str
    order: str
    grouped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockType:
    """A residual block as data: out = merge(shortcut(x), branch(x)), then `after`.

    With w = width·multiple of the stage, the branch's last layers give expansion·w channels, its "inner" layers
    inner·w (or cardinality·base_width·multiple, where a layer is grouped and base_width is given).
    """

    branch: tuple[Layer, ...]
    source: str
    merge: str = "add"  # "add" | "gate" (highway) | "none" (plain)
    after: str = ""  # "a": an activation after the merge
    expansion: int = 1
    inner: int = 1
    stem_width: int | None = None  # channels of the stem, if they differ from the first stage
    counts_projections: bool = False  # the paper's depth counts one shortcut convolution per stage instead of the FC

    @property
    def preactivation(self) -> bool:
        """Return whether norm and activation come before the first convolution."""
        return self.branch[0].order.startswith("n")

    @property
    def grouped(self) -> bool:
        """Return whether cardinality and base_width apply."""
        return any(layer.grouped for layer in self.branch)

    @property
    def bottleneck(self) -> bool:
        """Return whether the branch has layers that are narrower (or wider) inside than at its end."""
        return any(layer.width == "inner" for layer in self.branch)

    @property
    def drops(self) -> bool:
        """Return whether the branch has a place for dropout."""
        return any("d" in layer.order for layer in self.branch)


_PREACT_BOTTLENECK: Final = (Layer(1, "inner", "nac"), Layer(3, "inner", "nac"), Layer(1, "out", "nac"))

BLOCK_TYPES: Final[dict[str, BlockType]] = {
    "plain": BlockType(
        source="He et al. 2015, fig. 3 middle: the residual network without its shortcuts",
        branch=(Layer(3, "out", "cna"), Layer(3, "out", "cna")),
        merge="none",
    ),
    "basic": BlockType(
        source="He et al. 2015, fig. 5 left",
        branch=(Layer(3, "out", "cna"), Layer(3, "out", "cn")),
        after="a",
    ),
    "bottleneck": BlockType(
        source="He et al. 2015, fig. 5 right",
        branch=(Layer(1, "inner", "cna"), Layer(3, "inner", "cna"), Layer(1, "out", "cn")),
        after="a",
        expansion=4,
    ),
    "resnext": BlockType(
        source="Xie et al. 2017, fig. 3c",
        branch=(Layer(1, "inner", "cna"), Layer(3, "inner", "cna", grouped=True), Layer(1, "out", "cn")),
        after="a",
        expansion=4,
        inner=2,
    ),
    "preact_basic": BlockType(
        source="He et al. 2016, fig. 4e",
        branch=(Layer(3, "out", "nac"), Layer(3, "out", "nac")),
    ),
    "preact_bottleneck": BlockType(
        source="He et al. 2016, table 3",
        branch=_PREACT_BOTTLENECK,
        expansion=4,
    ),
    "preact_resnext": BlockType(
        source="Xie et al. 2017 in the order of He et al. 2016",
        branch=(_PREACT_BOTTLENECK[0], Layer(3, "inner", "nac", grouped=True), _PREACT_BOTTLENECK[2]),
        expansion=4,
        inner=2,
    ),
    "wide": BlockType(
        source="Zagoruyko and Komodakis 2016, fig. 1d",
        branch=(Layer(3, "out", "nac"), Layer(3, "out", "nadc")),
        stem_width=16,
        counts_projections=True,
    ),
    "highway": BlockType(
        source="Srivastava et al. 2015, eq. 3: H·T + x·(1-T)",
        branch=(Layer(3, "out", "cna"), Layer(3, "out", "cna")),
        merge="gate",
    ),
}

BLOCKS: Final = tuple(BLOCK_TYPES)
SHORTCUTS: Final = ("identity", "projection", "all_projection", "avgpool")  # A, B, C of He et al. 2015; D of He 2019
ATTENTIONS: Final = ("none", "se")
STEMS: Final = ("cifar", "imagenet", "deep")
ACTIVATIONS: Final = ("relu", "leaky_relu", "elu", "gelu", "silu")
BIASES: Final = ("none", "all", "unnormalised")
DOWNSAMPLINGS: Final = ("conv3", "conv1", "last")
