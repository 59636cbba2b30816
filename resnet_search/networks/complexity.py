"""Parameters, multiply-adds and activations of an architecture by arithmetic, without Keras or weights.

Convention (shared with the goldens): trainable = convolutions, FC with bias, batch norm's gamma and beta;
nontrainable = its moving statistics; macs = multiply-adds of convolutions and FC for one image.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, TypeAlias

from resnet_search.networks.anatomy import Block, Squeeze, Unit, anatomy
from resnet_search.networks.architecture import Architecture

Cost: TypeAlias = tuple[int, int, int, int]  # trainable, nontrainable, macs, activations
Size: TypeAlias = tuple[int, int]  # height, width in pixels

_KEPT: Final = tuple(field.name for field in fields(Architecture) if field.name != "blocks")
_key = attrgetter(*_KEPT)


@dataclass(frozen=True, slots=True)
class Complexity:
    """The cost of a network; activations = elements of convolution and FC outputs for one image."""

    trainable: int
    nontrainable: int
    macs: int
    activations: int


def complexity(a: Architecture, input_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10) -> Complexity:
    """Return the exact counts of the model that `build_model` makes from the same arguments.

    A network consists of its ends and, for each stage, the first block, the last, and n-2 middle ones. Their costs are
    computed once for all depths, so that a space of a million architectures is counted in seconds.
    """
    trainable, nontrainable, macs, activations, stages = _parts(_key(a), len(a.blocks), input_shape, classes)
    for n, (first, middle, last) in zip(a.blocks, stages, strict=True):
        # In a stage of one block the last equals the middle one (`rules`), and the two cancel out.
        between = n - 2
        trainable += first[0] + between * middle[0] + last[0]
        nontrainable += first[1] + between * middle[1] + last[1]
        macs += first[2] + between * middle[2] + last[2]
        activations += first[3] + between * middle[3] + last[3]
    return Complexity(trainable, nontrainable, macs, activations)


@lru_cache(maxsize=1 << 16)
def _parts(
    key: tuple[Any, ...], count: int, input_shape: tuple[int, int, int], classes: int
) -> tuple[int, int, int, int, tuple[tuple[Cost, Cost, Cost], ...]]:
    """Return the cost of the ends and of each stage's first, middle and last block, for any number of blocks."""
    a = Architecture(blocks=(2,) * count, **dict(zip(_KEPT, key, strict=True)))
    height, width, channels = input_shape
    network = anatomy(a, channels)
    size = (height, width)
    ends = []
    for unit in network.stem:
        cost, size = _unit(unit, size)
        ends.append(cost)
    if network.pool:
        size = _strided(size, 2)
    stages = []
    for stage in network.stages:
        first, size = _block(stage.first, size)
        middle, _ = _block(stage.middle, size)
        last, size = _block(stage.last, size)
        stages.append((first, middle, last))
    features = network.features
    norm = features if network.final_norm else 0
    ends.append((2 * norm + features * classes + classes, 2 * norm, features * classes, classes))
    return (*_total(ends), tuple(stages))


def _strided(size: Size, stride: int) -> Size:
    """Return ceil(size / stride), the output size with a padding of half the kernel."""
    return -(-size[0] // stride), -(-size[1] // stride)


def _unit(unit: Unit, size: Size) -> tuple[Cost, Size]:
    size = _strided(size, unit.stride)
    pixels = size[0] * size[1]
    weights = unit.kernel**2 * (unit.inputs // unit.groups) * unit.outputs
    norm = 2 * unit.norm
    trainable = weights + norm + (unit.outputs if unit.bias else 0)
    return (trainable, norm, weights * pixels, unit.outputs * pixels), size


def _squeeze(squeeze: Squeeze) -> Cost:
    weights = 2 * squeeze.channels * squeeze.squeezed
    outputs = squeeze.channels + squeeze.squeezed
    return weights + (outputs if squeeze.bias else 0), 0, weights, outputs


def _block(block: Block, size: Size) -> tuple[Cost, Size]:
    costs = []
    inside = size
    for unit in block.branch:
        cost, inside = _unit(unit, inside)
        costs.append(cost)
    if block.projection:  # after a mean pool it has stride 1 on the pooled image
        pooled = _strided(size, block.stride // block.projection.stride)
        costs.append(_unit(block.projection, pooled)[0])
    if block.gate:
        costs.append(_unit(block.gate, size)[0])
    if block.squeeze:
        costs.append(_squeeze(block.squeeze))
    return _total(costs), inside


def _total(costs: list[Cost]) -> Cost:
    trainable, nontrainable, macs, activations = (sum(column) for column in zip(*costs, strict=True))
    return trainable, nontrainable, macs, activations
