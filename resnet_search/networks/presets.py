"""The named networks: architectures with their source and, if published, their error.

On CIFAR, "resnet-N" is the 2015 paper's network with shortcut A, as in its table 6. The ImageNet networks with 18 to
152 layers have their own stem (224x224, 1000 classes) and, as "NAME-cifar", the CIFAR stem (32x32, 10 classes).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from resnet_search.errors import UsageError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import Complexity, complexity

HE15: Final = "He et al. 2015, Deep Residual Learning"
HE16: Final = "He et al. 2016, Identity Mappings"
WRN: Final = "Zagoruyko and Komodakis 2016, Wide Residual Networks"
XIE: Final = "Xie et al. 2017, Aggregated Residual Transformations"
HU: Final = "Hu et al. 2018, Squeeze-and-Excitation"
HIGHWAY: Final = "Srivastava et al. 2015, Training Very Deep Networks"
EXAMPLE: Final = "Keras example: cifar10_resnet"
APPLICATIONS: Final = "keras.applications"

STAGES: Final = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
BIASED: Final = "a bias in every convolution, no norm behind projections"
V2: Final = "stride last, as in keras.applications"
ADAPTED: Final = "-cifar"  # suffix of an ImageNet network on the CIFAR stem


@dataclass(frozen=True, slots=True)
class Preset:
    """A named network. error: published, in % (CIFAR-10 test, or ImageNet top-1); note: its source and conditions."""

    name: str
    architecture: Architecture
    source: str
    error: float | None = None
    note: str = ""
    input_shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10

    @property
    def complexity(self) -> Complexity:
        """Return its counts at its own input shape and classes."""
        return complexity(self.architecture, self.input_shape, self.classes)


def preset(name: str, where: str = "model") -> Preset:
    """Return the preset with a name, ignoring case; else `UsageError` about `where`, with the nearest names."""
    found = PRESETS.get(name.lower())
    if found is None:
        # Many names are nearly alike: offer several close names, but only one distant one.
        near = get_close_matches(name.lower(), PRESETS, cutoff=0.85) or get_close_matches(name.lower(), PRESETS, n=1)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(
            f"{where}: got {name!r}; allowed: one of {len(PRESETS)} presets", f"{meant}resnet-search models lists them."
        )
    return found


def _cifar() -> list[Preset]:
    """Add networks made for CIFAR, with three equal stages."""
    made = []
    axes: dict[str, Any]

    def add(name: str, source: str, error: float | None = None, note: str = "", **axes: Any) -> None:
        made.append(Preset(name, Architecture.from_axes(**axes), source, error, note))

    table6 = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}
    for depth, error in table6.items():
        note = "table 6, best of 5; 6.61 ± 0.16" if depth == 110 else "table 6"  # noqa: PLR2004
        add(f"resnet-{depth}", HE15, error, note, block="basic", depth=depth, width=16, shortcut="identity")
    for depth in (20, 32, 44, 56):
        add(f"plain-{depth}", HE15, block="plain", depth=depth, width=16)
    add("resnet-164", HE16, 5.93, "table 3", block="bottleneck", depth=164, width=16)
    add("preact-resnet-110", HE16, 6.37, "table 3", block="preact_basic", depth=110, width=16, shortcut="identity")
    for depth, error, note in ((164, 5.46, "table 3"), (1001, 4.92, "4.62 at batch 64")):
        add(f"preact-resnet-{depth}", HE16, error, note, block="preact_bottleneck", depth=depth, width=16)
    wide = ((16, 4, 5.02, "table 6"), (16, 8, 4.27, "table 5"), (28, 10, 4.0, "table 5; 3.89 with dropout 0.3"))
    for depth, factor, error, note in (*wide, (40, 4, 4.53, "table 5")):
        add(f"wrn-{depth}-{factor}", WRN, error, note, block="wide", depth=depth, width=16 * factor)
    table7: dict[int, tuple[float, str]] = {8: (3.65, "table 7, mean of 10"), 16: (3.58, "table 7")}
    for groups, width in ((2, 64), (4, 64), (8, 64), (16, 64), (32, 4)):
        axes = {"block": "resnext", "depth": 29, "width": 64, "cardinality": groups, "base_width": width}
        add(f"resnext-29-{groups}x{width}d", XIE, *table7.get(groups, ()), **axes)
    se: dict[str, Any] = {"width": 16, "attention": "se"}
    for depth in (20, 32, 44, 56):
        add(f"se-resnet-{depth}", HU, block="basic", depth=depth, **se)
    add("se-resnet-110", HU, 5.21, "table 4, with pre-activation", block="basic", depth=110, **se)
    add("se-preact-resnet-110", HU, 5.21, "table 4", block="preact_basic", depth=110, shortcut="identity", **se)
    add("se-resnet-164", HU, 4.39, "table 4, with pre-activation", block="preact_bottleneck", depth=164, **se)
    add("se-wrn-16-8", HU, 3.88, "table 4", block="wide", depth=16, width=128, attention="se")
    highway: dict[str, Any] = {"block": "highway", "width": 16, "shortcut": "identity"}
    add("highway-20", HIGHWAY, None, "the paper's own 19 layers: 7.54", depth=20, **highway)
    add("highway-32", HIGHWAY, 8.8, "of the paper's own 32 layers", depth=32, **highway)
    for depth in (20, 32, 44, 56, 110):
        axes = {"block": "basic", "depth": depth, "width": 16, "bias": "all", "shortcut_norm": False}
        add(f"keras-resnet-v1-{depth}", EXAMPLE, None, BIASED, **axes)
    for depth in (20, 29, 56, 110):
        axes = {"block": "preact_bottleneck", "depth": depth, "width": 16, "bias": "all", "downsample": "conv1"}
        add(f"keras-resnet-v2-{depth}", EXAMPLE, None, BIASED, inner_multiples=(1, 4, 8), **axes)
    return made


def _imagenet() -> list[Preset]:
    """Add the networks with 18 to 152 layers and their descendants, on both stems."""
    made = []
    axes: dict[str, Any]

    def add(name: str, depth: int, source: str, error: float | None = None, note: str = "", **axes: Any) -> None:
        whole = {"blocks": STAGES[depth], "width": 64, **axes}
        made.append(Preset(name, Architecture(stem="imagenet", **whole), source, error, note, (224, 224, 3), 1000))
        # with a bias in the excitation, as in timm; without on CIFAR, like the SE networks made for it
        whole.pop("attention_bias", None)
        adapted = Architecture(stem="cifar", **whole)
        made.append(Preset(name + ADAPTED, adapted, f"{source}; adapted to CIFAR"))

    ten_crop = {18: (27.88, "table 2"), 34: (24.52, "table 3"), 50: (22.85, "table 3")}
    ten_crop |= {101: (21.75, "table 3"), 152: (21.43, "table 3")}
    center = {50: 23.29, 101: 22.38, 152: 21.57}
    for depth in STAGES:
        block = "bottleneck" if depth >= 50 else "basic"  # noqa: PLR2004
        error, where = ten_crop[depth]
        add(f"resnet-{depth}", depth, HE15, error, f"ImageNet top-1, {where}, 10 crops", block=block)
        if block == "bottleneck":
            axes = {"bias": "unnormalised", "downsample": "last"}
            add(f"resnet-{depth}-v2", depth, HE16, None, V2, block="preact_bottleneck", **axes)
            axes = {"bias": "all", "downsample": "conv1"}
            add(f"keras-resnet-{depth}", depth, APPLICATIONS, block="bottleneck", **axes)
        else:
            add(f"resnet-{depth}-v2", depth, HE16, block="preact_basic")
        note = "ImageNet top-1, table 2, one crop" if depth in center else ""
        axes = {"block": block, "attention": "se", "attention_bias": True}
        add(f"se-resnet-{depth}", depth, HU, center.get(depth), note, **axes)
    single: tuple[tuple[int, int, float | None], ...] = ((50, 4, 22.2), (101, 4, 21.2), (101, 8, None))
    for depth, width, measured in single:
        axes = {"block": "resnext", "cardinality": 32, "base_width": width}
        note = "ImageNet top-1, table 3, one crop" if measured else ""
        add(f"resnext-{depth}-32x{width}d", depth, XIE, measured, note, **axes)
    for depth, error in ((50, 21.1), (101, 20.7)):
        axes = {"block": "resnext", "cardinality": 32, "base_width": 4, "attention": "se", "attention_bias": True}
        add(f"se-resnext-{depth}-32x4d", depth, HU, error, "ImageNet top-1, table 2, one crop", **axes)
    return made


PRESETS: Final = {each.name: each for each in [*_cifar(), *_imagenet()]}
