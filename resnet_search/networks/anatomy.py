"""The layers of an architecture: stem, blocks, shortcuts with their channels, strides and groups. No Keras here.

Both the Keras model and the arithmetic are derived from this module, so they cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.dialect import BLOCK_TYPES, BlockType

GATE_KERNEL = 3  # "the same receptive field for H and T": Srivastava et al. 2015, section 2.1


@dataclass(frozen=True, slots=True)
class Unit:
    """One convolution (c) with the order of norm (n), activation (a) and dropout (d) around it."""

    order: str
    kernel: int
    inputs: int
    outputs: int
    stride: int = 1
    groups: int = 1
    bias: bool = False

    @property
    def norm(self) -> int:
        """Return the channels of its batch norm; 0 without one."""
        if "n" not in self.order:
            return 0
        return self.inputs if self.order.index("n") < self.order.index("c") else self.outputs


@dataclass(frozen=True, slots=True)
class Squeeze:
    """Squeeze-and-excitation (Hu et al. 2018): channels to channels/ratio and back."""

    channels: int
    squeezed: int
    bias: bool


@dataclass(frozen=True, slots=True)
class Block:
    """merge(shortcut(x), attention(branch(x))), then `after`.

    shared: "na" if the pre-activation feeds branch and projection; its norm has `inputs` channels.
    shortcut: "none", "identity" (subsampled and padded with zero channels where the shape changes), "projection"
        (`projection`), or "avgpool" (2x2 mean, then `projection`).
    """

    inputs: int
    outputs: int
    stride: int
    shared: bool
    branch: tuple[Unit, ...]
    shortcut: str
    projection: Unit | None
    squeeze: Squeeze | None
    gate: Unit | None
    merge: str
    after: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of n blocks: the first, n-1 (or n-2) middle ones, and the last, which may differ from the middle ones."""

    first: Block
    middle: Block
    last: Block

    def expand(self, n: int) -> tuple[Block, ...]:
        """Return the n blocks from first to last."""
        return (self.first,) if n == 1 else (self.first, *[self.middle] * (n - 2), self.last)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A network: stem, an optional 3x3/2 max-pool, stages, and "na" at the end if the blocks are pre-activated."""

    stem: tuple[Unit, ...]
    pool: bool
    stages: tuple[Stage, ...]
    final_norm: bool
    features: int


def anatomy(a: Architecture, channels: int = 3) -> Anatomy:
    """Derive the layers of `a` for images with this number of channels."""
    kind = BLOCK_TYPES[a.block]
    count = len(a.blocks)
    stages = []
    inputs = a.stem_channels
    for stage in range(count):
        outputs = a.outputs(stage)
        late = a.downsample == "last"
        early_stride = 2 if stage > 0 and not late else 1
        late_stride = 2 if stage < count - 1 and late else 1
        middle = _block(a, kind, stage, outputs, 1)
        last = _block(a, kind, stage, outputs, late_stride) if late_stride > 1 else middle
        stages.append(Stage(_block(a, kind, stage, inputs, early_stride), middle, last))
        inputs = outputs
    return Anatomy(_stem(a, kind, channels), a.stem != "cifar", tuple(stages), kind.preactivation, inputs)


def _biased(a: Architecture, *, normalised: bool) -> bool:
    return a.bias == "all" or (a.bias == "unnormalised" and not normalised)


def _stem(a: Architecture, kind: BlockType, channels: int) -> tuple[Unit, ...]:
    last = "c" if kind.preactivation else "cna"
    bias = _biased(a, normalised=last != "c")
    width = a.stem_channels
    if a.stem == "deep":  # ResNet-C of He et al. 2019, fig. 2b
        half = max(1, width // 2)
        hidden = _biased(a, normalised=True)
        return (
            Unit("cna", 3, channels, half, 2, 1, hidden),
            Unit("cna", 3, half, half, 1, 1, hidden),
            Unit(last, 3, half, width, 1, 1, bias),
        )
    kernel, stride = (7, 2) if a.stem == "imagenet" else (3, 1)
    return (Unit(last, kernel, channels, width, stride, 1, bias),)


def _branch(a: Architecture, kind: BlockType, stage: int, inputs: int, stride: int) -> tuple[Unit, ...]:
    widths = {"inner": a.inner(stage), "out": a.outputs(stage)}
    strided = 0 if a.downsample == "conv1" else next(i for i, layer in enumerate(kind.branch) if layer.kernel > 1)
    units = []
    for i, layer in enumerate(kind.branch):
        behind = layer.order.partition("c")[2] + (kind.branch[i + 1].order if i + 1 < len(kind.branch) else "")
        units.append(
            Unit(
                layer.order,
                layer.kernel,
                inputs,
                widths[layer.width],
                stride if i == strided else 1,
                a.cardinality if layer.grouped else 1,
                _biased(a, normalised=behind.startswith("n")),
            )
        )
        inputs = widths[layer.width]
    return tuple(units)


def _block(a: Architecture, kind: BlockType, stage: int, inputs: int, stride: int) -> Block:
    outputs = a.outputs(stage)
    shortcut = _shortcut(a, inputs, outputs, stride)
    projection = None
    if shortcut in ("projection", "avgpool"):
        normalised = a.shortcut_norm and not kind.preactivation
        step = 1 if shortcut == "avgpool" else stride
        bias = _biased(a, normalised=normalised)
        projection = Unit("cn" if normalised else "c", 1, inputs, outputs, step, 1, bias)
    return Block(
        inputs=inputs,
        outputs=outputs,
        stride=stride,
        shared=kind.preactivation and projection is not None,
        branch=_branch(a, kind, stage, inputs, stride),
        shortcut=shortcut,
        projection=projection,
        squeeze=_squeeze(a, outputs),
        gate=Unit("c", GATE_KERNEL, inputs, outputs, stride, 1, bias=True) if kind.merge == "gate" else None,
        merge=kind.merge,
        after=kind.after,
    )


def _shortcut(a: Architecture, inputs: int, outputs: int, stride: int) -> str:
    if a.shortcut in ("none", "identity"):
        return a.shortcut
    if a.shortcut == "all_projection":
        return "projection"
    if inputs == outputs and (stride == 1 or a.downsample == "last"):
        return "identity"  # subsampled in the last block of a keras.applications V2 stack: its 1x1 max-pool
    return "avgpool" if a.shortcut == "avgpool" and stride > 1 else "projection"


def _squeeze(a: Architecture, channels: int) -> Squeeze | None:
    if a.attention == "none":
        return None
    return Squeeze(channels, max(1, channels // a.attention_ratio), a.attention_bias)
